// The file `master-key` in the state directory: where the master key is, and the counter that
// confirms the store's epoch.
//
// Nothing in it is secret. It is written before the hardware is asked for anything, as a draft
// (`master-key.new`), so that what a crash leaves in the hardware can be found and removed.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "core/bytes.h"
#include "core/key_id.h"
#include "core/result.h"

namespace keyward {

struct MasterRecord {
  std::string custodian;  // "hsm" or "tpm": holds both
  KeyId seal;             // names the MasterSealer's part in the hardware
  KeyId counter;
  Bytes check;      // Subkey::kCheck of the master key; 32 bytes
  Bytes authority;  // SPKI of who signs PCR policies; empty for an HSM
  Bytes record;     // the MasterSealer's; empty in a draft
};

// What the hardware has of a home of the master key.
struct HardwareParts {
  std::string custodian;
  KeyId seal;
  KeyId counter;

  bool operator==(const HardwareParts&) const = default;
};

HardwareParts PartsOf(const MasterRecord& record);
// Whether either of its names is one of `ids`.
bool NamesAnyOf(const HardwareParts& parts, const std::set<KeyId>& ids);

// What a store under this master key is bound to: no other seal, counter or authority will do.
Bytes BindingOf(const MasterRecord& record);

// "KWMK" u8 version(1) | u8 length, custodian | seal (16) | counter (16) | check (32) | u16 length,
// authority | u16 length, record. Big-endian.
Bytes Encode(const MasterRecord& record);
// Errors: kDataCorrupt.
Result<MasterRecord> DecodeMasterRecord(ByteView bytes);

// Nothing when there is no such file. Errors: kIo, kDataCorrupt.
Result<std::optional<MasterRecord>> ReadMasterRecord(const std::filesystem::path& file);

inline constexpr size_t kMaxMasterFile = 2048;  // bytes
inline constexpr const char* kMasterFile = "master-key";
inline constexpr const char* kMasterDraft = "master-key.new";

}  // namespace keyward
