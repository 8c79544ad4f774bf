// Where a master key is at home: the custodian that has its part and the counter, the file
// `master-key` that names both, and the store that is bound to them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/public_key.h"
#include "core/rng.h"
#include "keyd/key_ring.h"
#include "keyd/master_key.h"
#include "keyd/master_record.h"
#include "keyd/store.h"

namespace keyward {

inline constexpr const char* kStateFile = "state.db";
inline constexpr const char* kStateDraft = "state.db.new";

// Errors: kConfiguration (security.yaml configures no such custodian).
Result<CustodianPool*> FindCustodian(KeyRingPools& pools, const std::string& custodian);

// What a custodian has released as the master key of `record`. Errors: kDataCorrupt (another one).
Result<MasterKey> CheckedMaster(SecretBytes bytes, const MasterRecord& record);
// What opens the store of `record`. Errors: those of MasterKey::Derive.
Result<StoreKeys> StoreKeysOf(const MasterKey& master, const MasterRecord& record);

struct NewHome {
  std::string custodian;               // "hsm" or "tpm"
  std::optional<PublicKey> authority;  // of PCR policies, for a TPM
  StoredState state;                   // what the store begins with
};

// Makes it, and puts `master-key` and `state.db` in the place of those that are there: until then
// they stay as they are. What an earlier try left has to be removed before. Killed at any point,
// either the old home is whole, or the new one is once FinishHome was called. Gives the new
// record. Blocks. Errors: the custodian's, the store's.
Result<MasterRecord> MakeHome(const MasterKey& master, const NewHome& wanted, CustodianPool& pool,
                              const std::filesystem::path& state_directory, Rng& rng);

// Removes what a MakeHome that did not come to its end has left, in the hardware too. A draft is
// written before there is a master key to vouch for it: one that names what the other files here
// say is in use is none of keyd's. Errors: kAlreadyExists (the draft is the record of a master key
// that was made), kDataCorrupt (it names what is in use, or what is in use cannot be told),
// kConfiguration, the custodian's.
Result<void> CleanUpDraft(KeyRingPools& pools, const std::filesystem::path& state_directory);

// Puts the new store of the master key `made` in its place, if a crash kept MakeHome from doing so.
// Errors: kIo, kDataCorrupt.
Result<void> FinishHome(const std::filesystem::path& state_directory, const MasterRecord& made);

// The hardware's part of a home. Nothing that is left of it is success. Errors: the custodian's.
Result<void> DestroyHome(Custodian& custodian, const HardwareParts& parts);

}  // namespace keyward
