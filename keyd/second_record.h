// The file `master-key.second` in the state directory: a second seal of the master key, for the day
// when the custodian that has it is lost.
//
// There is one at most: in the other custodian, or in an envelope for a recovery certificate.
// Nothing in the file is secret without the hardware or the recovery key that opens it. In the
// hardware it has a name that follows from the master key's check value, so that whatever a crash
// leaves there can be found without any file.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/clock.h"
#include "keyd/master_key.h"
#include "keyd/master_record.h"

namespace keyward {

inline constexpr const char* kInRecovery = "recovery";

struct SecondSeal {
  std::string place;  // "hsm", "tpm", or kInRecovery
  WallTime made;
  Bytes check;   // Subkey::kCheck of the master key; 32 bytes
  Bytes holder;  // tpm: SPKI of who signs PCR policies; recovery: SHA-256 of the certificate
  Bytes sealed;  // the MasterSealer's record; recovery: CMS EnvelopedData, DER
  Bytes mac;     // over all of it; 32 bytes

  bool InHardware() const { return place != kInRecovery; }
};

// What the MasterSealer knows it by.
KeyId SecondSealId(ByteView check);

// Fills in the MAC. Errors: kTooLarge (over kMaxSecondFile), those of MasterKey::Derive.
Result<void> Authenticate(SecondSeal& seal, const MasterKey& master);
// That it is of this master key, and as it was written. Errors: kDataCorrupt.
Result<void> CheckSecondSeal(const SecondSeal& seal, const MasterKey& master);

// "KWM2" u8 version(1) | u8 length, place | u64 made, ms | check (32) | u16 length, holder | u16
// length, sealed | MAC (32): BLAKE2b-256 under Subkey::kSecondSeal of "keyward second seal 1" and
// all before. Big-endian.
Bytes Encode(const SecondSeal& seal);
// The MAC takes the master key to check. Errors: kDataCorrupt.
Result<SecondSeal> DecodeSecondSeal(ByteView bytes);

// Nothing when there is no such file. Errors: kIo, kDataCorrupt.
Result<std::optional<SecondSeal>> ReadSecondSeal(const std::filesystem::path& state_directory);

inline constexpr size_t kMaxSecondFile = size_t{16} * 1024;  // bytes
inline constexpr const char* kSecondFile = "master-key.second";

}  // namespace keyward
