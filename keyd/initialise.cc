#include "keyd/initialise.h"

#include "core/file.h"

namespace keyward {
namespace {

namespace fs = std::filesystem;

// What a store that was moved away has left would be played into the new one.
Result<void> CheckNothingIsLeft(const fs::path& directory) {
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    KEYWARD_ASSIGN(const bool left, FileExists(directory / (std::string(kStateFile) + suffix)));
    if (left) {
      return Fail(ErrorCode::kAlreadyExists, std::string("a former store has left state.db") +
                                                 suffix + ": move it to where its state.db is");
    }
  }
  return {};
}

Result<StoredState> StateToAdopt(const fs::path& directory, bool adopt) {
  Result<StoredState> state = Store::ReadUnauthenticated(directory / kStateFile);
  if (!state && state.error().code() == ErrorCode::kNotFound) {
    KEYWARD_ASSIGN(const bool there, FileExists(directory / kStateFile));
    if (!there) {
      KEYWARD_TRY(CheckNothingIsLeft(directory));
      return StoredState{};
    }
  }
  if (!state || !adopt) {
    return Fail(ErrorCode::kAlreadyExists,
                "there is a state.db already: put back its master-key file, or move it away; one "
                "of an earlier Keyward, without a master key, is taken over with --adopt");
  }
  return state;
}

// What the new store begins with.
Result<StoredState> FirstState(const fs::path& directory, const Initialisation& wanted) {
  if (!wanted.restored) return StateToAdopt(directory, wanted.adopt);
  KEYWARD_ASSIGN(const bool there, FileExists(directory / kStateFile));
  if (there) {
    return Fail(ErrorCode::kAlreadyExists,
                "there is a state.db already: move it away, or restore into another directory");
  }
  KEYWARD_TRY(CheckNothingIsLeft(directory));
  return *wanted.restored;
}

}  // namespace

Result<void> Initialise(const Initialisation& wanted, KeyRingPools& pools,
                        const fs::path& directory, Rng& rng) {
  KEYWARD_ASSIGN(const std::optional<MasterRecord> there,
                 ReadMasterRecord(directory / kMasterFile));
  if (there) return Fail(ErrorCode::kAlreadyExists, "there is a master key already");
  KEYWARD_ASSIGN(CustodianPool* const pool, FindCustodian(pools, wanted.custodian));
  KEYWARD_ASSIGN(const StoredState state, FirstState(directory, wanted));
  KEYWARD_TRY(CleanUpDraft(pools, directory));
  KEYWARD_ASSIGN(const MasterKey master, MasterKey::Make(rng));
  KEYWARD_TRY(MakeHome(master, {wanted.custodian, wanted.authority, state}, *pool, directory, rng));
  return {};
}

}  // namespace keyward
