#include "keyd/initialise.h"

#include <utility>

#include "core/file.h"
#include "keyd/ask.h"
#include "keyd/master_key.h"
#include "keyd/master_record.h"
#include "keyd/store.h"

namespace keyward {
namespace {

namespace fs = std::filesystem;

Result<CustodianPool*> Find(KeyRingPools& pools, const std::string& custodian) {
  const auto found = pools.find(custodian);
  if (found == pools.end()) {
    return Fail(ErrorCode::kConfiguration, "security.yaml configures no '" + custodian + "'");
  }
  return found->second.get();
}

Result<void> RemoveFromHardware(Custodian& custodian, const MasterRecord& record) {
  KEYWARD_TRY(custodian.master_sealer().DestroyMaster(record.seal));
  return custodian.counter().Destroy(record.counter);
}

// What an initialisation that did not come to its end has left.
Result<void> CleanUp(KeyRingPools& pools, const fs::path& directory) {
  KEYWARD_ASSIGN(const std::optional<MasterRecord> draft,
                 ReadMasterRecord(directory / kMasterDraft));
  if (draft && !draft->record.empty()) {
    return Fail(ErrorCode::kAlreadyExists,
                "master-key.new is the record of a master key that was made: give it its name "
                "master-key back");
  }
  KEYWARD_TRY(RemoveFile(directory / kStateDraft));
  KEYWARD_TRY(RemoveFile(directory / (std::string(kStateDraft) + "-wal")));
  KEYWARD_TRY(RemoveFile(directory / (std::string(kStateDraft) + "-shm")));
  if (!draft) return {};
  KEYWARD_ASSIGN(CustodianPool* const pool, Find(pools, draft->custodian));
  KEYWARD_TRY(AskAndWait<void>(
      *pool, [&draft](Custodian& custodian) { return RemoveFromHardware(custodian, *draft); }));
  return RemoveFile(directory / kMasterDraft);
}

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

struct HardwarePart {
  Bytes record;
  uint64_t counter = 0;
};

Result<HardwarePart> MakeInHardware(CustodianPool& pool, const MasterRecord& draft,
                                    const MasterKey& master,
                                    const std::optional<PublicKey>& authority) {
  HardwarePart part;
  KEYWARD_TRY(AskAndWait<void>(pool, [&](Custodian& custodian) -> Result<void> {
    KEYWARD_ASSIGN(part.counter, custodian.counter().Create(draft.counter));
    KEYWARD_ASSIGN(part.record,
                   custodian.master_sealer().SealMaster(draft.seal, master.bytes(), authority));
    return {};
  }));
  return part;
}

Result<void> MakeStore(const fs::path& path, const MasterRecord& record, const MasterKey& master,
                       uint64_t epoch, const StoredState& state, Rng& rng) {
  StoreKeys keys;
  KEYWARD_ASSIGN(keys.mac, master.Derive(Subkey::kStoreMac));
  KEYWARD_ASSIGN(keys.wrapping, master.Derive(Subkey::kWrapping));
  keys.bound_to = BindingOf(record);
  KEYWARD_TRY(Store::Create(path, std::move(keys), rng, epoch, state));
  // Closed by now, which has moved everything into the one file.
  KEYWARD_ASSIGN(const bool rest, FileExists(path.string() + "-wal"));
  if (!rest) return {};
  return Fail(ErrorCode::kIo, "the new state.db could not be written to its end");
}

}  // namespace

Result<void> Initialise(const Initialisation& wanted, KeyRingPools& pools,
                        const fs::path& directory, Rng& rng) {
  KEYWARD_ASSIGN(const std::optional<MasterRecord> there,
                 ReadMasterRecord(directory / kMasterFile));
  if (there) return Fail(ErrorCode::kAlreadyExists, "there is a master key already");
  KEYWARD_ASSIGN(CustodianPool* const pool, Find(pools, wanted.custodian));
  KEYWARD_ASSIGN(const StoredState state, FirstState(directory, wanted));
  KEYWARD_TRY(CleanUp(pools, directory));

  KEYWARD_ASSIGN(const MasterKey master, MasterKey::Make(rng));
  KEYWARD_ASSIGN(const SecretBytes check, master.Derive(Subkey::kCheck));
  MasterRecord record{.custodian = wanted.custodian,
                      .seal = {},
                      .counter = {},
                      .check = ToBytes(check.RevealSecret()),
                      .authority = wanted.authority ? wanted.authority->spki() : Bytes(),
                      .record = {}};
  rng.Fill(record.seal);
  rng.Fill(record.counter);
  KEYWARD_TRY(ReplaceFile(directory / kMasterDraft, Encode(record)));
  KEYWARD_ASSIGN(const HardwarePart part, MakeInHardware(*pool, record, master, wanted.authority));
  record.record = part.record;
  KEYWARD_TRY(MakeStore(directory / kStateDraft, record, master, part.counter, state, rng));
  // From here on it is made: what is left is finished by the next start.
  KEYWARD_TRY(ReplaceFile(directory / kMasterFile, Encode(record)));
  return FinishInitialisation(directory, record);
}

Result<void> FinishInitialisation(const fs::path& directory, const MasterRecord& made) {
  KEYWARD_ASSIGN(const std::optional<MasterRecord> draft,
                 ReadMasterRecord(directory / kMasterDraft));
  // The draft of another master key is of a try that came to nothing.
  if (!draft || draft->seal != made.seal) return {};
  KEYWARD_TRY(MoveFile(directory / kStateDraft, directory / kStateFile));
  return RemoveFile(directory / kMasterDraft);
}

}  // namespace keyward
