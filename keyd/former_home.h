// The file `master-key.former` in the state directory: what the hardware that had the master key
// before a reseal still has of it, and is to destroy when it answers.
//
// What it names is destroyed for good, so it is believed only with a MAC under the master key, and
// never about what is in use: who may write to the disk must not have keyd destroy anything.
#pragma once

#include <filesystem>
#include <optional>

#include "keyd/master_key.h"
#include "keyd/master_record.h"

namespace keyward {

struct FormerHome {
  HardwareParts parts;
  Bytes mac;  // over them; 32 bytes
};

// With its MAC. Errors: those of MasterKey::Derive.
Result<FormerHome> MakeFormerHome(const HardwareParts& parts, const MasterKey& master);
// That it was written under this master key, and names nothing that the home of now, or a second
// seal of it, has; the very home of now is none of these: see CameToNothing. Errors: kDataCorrupt.
Result<void> CheckFormerHome(const FormerHome& former, const MasterRecord& now,
                             const MasterKey& master);
// It was written before a new home was made, which was not: then nothing is to be destroyed.
bool CameToNothing(const FormerHome& former, const MasterRecord& now);

// "KWMF" u8 version(1) | u8 length, custodian | seal (16) | counter (16) | MAC (32): BLAKE2b-256
// under Subkey::kSecondSeal of "keyward former home 1" and all before. Big-endian.
Bytes Encode(const FormerHome& former);
// The MAC takes the master key to check. Errors: kDataCorrupt.
Result<FormerHome> DecodeFormerHome(ByteView bytes);

// Nothing when there is no such file. Errors: kIo, kDataCorrupt.
Result<std::optional<FormerHome>> ReadFormerHome(const std::filesystem::path& state_directory);

inline constexpr size_t kMaxFormerFile = 256;  // bytes
inline constexpr const char* kMasterFormer = "master-key.former";

}  // namespace keyward
