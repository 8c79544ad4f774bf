#include "keyd/master_home.h"

#include <utility>

#include "core/file.h"
#include "keyd/ask.h"
#include "keyd/former_home.h"
#include "keyd/second_record.h"

namespace keyward {
namespace {

namespace fs = std::filesystem;

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
  KEYWARD_ASSIGN(StoreKeys keys, StoreKeysOf(master, record));
  KEYWARD_TRY(Store::Create(path, std::move(keys), rng, epoch, state));
  // Closed by now, which has moved everything into the one file.
  KEYWARD_ASSIGN(const bool rest, FileExists(path.string() + "-wal"));
  if (!rest) return {};
  return Fail(ErrorCode::kIo, "the new state.db could not be written to its end");
}

// Names in the hardware that the files of `directory` say are in use.
Result<std::set<KeyId>> IdsInUse(const fs::path& directory) {
  std::set<KeyId> ids;
  KEYWARD_ASSIGN(const std::optional<MasterRecord> record,
                 ReadMasterRecord(directory / kMasterFile));
  if (record) ids.insert({record->seal, record->counter, SecondSealId(record->check)});
  KEYWARD_ASSIGN(const std::optional<SecondSeal> second, ReadSecondSeal(directory));
  if (second) ids.insert(SecondSealId(second->check));
  KEYWARD_ASSIGN(const std::optional<FormerHome> former, ReadFormerHome(directory));
  if (former) ids.insert({former->parts.seal, former->parts.counter});
  return ids;
}

Result<void> CheckDraft(const MasterRecord& draft, const fs::path& directory) {
  KEYWARD_ASSIGN(std::set<KeyId> ids, IdsInUse(directory));
  ids.insert(SecondSealId(draft.check));
  if (!NamesAnyOf(PartsOf(draft), ids)) return {};
  return Fail(Error(ErrorCode::kDataCorrupt,
                    "the file master-key.new in the state directory names what is in use: keyd did "
                    "not write it; find out who did, and move it away")
                  .WithAction(Action::kProvision));
}

}  // namespace

Result<CustodianPool*> FindCustodian(KeyRingPools& pools, const std::string& custodian) {
  const auto found = pools.find(custodian);
  if (found != pools.end() && found->second->configured()) return found->second.get();
  return Fail(ErrorCode::kConfiguration, "security.yaml configures no '" + custodian + "'");
}

Result<MasterKey> CheckedMaster(SecretBytes bytes, const MasterRecord& record) {
  KEYWARD_ASSIGN(MasterKey master, MasterKey::FromBytes(std::move(bytes)));
  KEYWARD_ASSIGN(const SecretBytes check, master.Derive(Subkey::kCheck));
  if (check.Equals(record.check)) return master;
  return Fail(Error(ErrorCode::kDataCorrupt,
                    "what the hardware released is not the master key of this state directory: "
                    "put back the master-key file that belongs to it, or restore a backup")
                  .WithAction(Action::kProvision));
}

Result<StoreKeys> StoreKeysOf(const MasterKey& master, const MasterRecord& record) {
  StoreKeys keys;
  KEYWARD_ASSIGN(keys.mac, master.Derive(Subkey::kStoreMac));
  KEYWARD_ASSIGN(keys.wrapping, master.Derive(Subkey::kWrapping));
  keys.bound_to = BindingOf(record);
  return keys;
}

Result<MasterRecord> MakeHome(const MasterKey& master, const NewHome& wanted, CustodianPool& pool,
                              const fs::path& directory, Rng& rng) {
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
  KEYWARD_ASSIGN(const HardwarePart part, MakeInHardware(pool, record, master, wanted.authority));
  record.record = part.record;
  KEYWARD_TRY(MakeStore(directory / kStateDraft, record, master, part.counter, wanted.state, rng));
  // From here on it is made: what is left is finished by the next start.
  KEYWARD_TRY(ReplaceFile(directory / kMasterFile, Encode(record)));
  KEYWARD_TRY(FinishHome(directory, record));
  return record;
}

Result<void> CleanUpDraft(KeyRingPools& pools, const fs::path& directory) {
  KEYWARD_ASSIGN(const std::optional<MasterRecord> draft,
                 ReadMasterRecord(directory / kMasterDraft));
  if (draft && !draft->record.empty()) {
    return Fail(ErrorCode::kAlreadyExists,
                "master-key.new is the record of a master key that was made: give it its name "
                "master-key back");
  }
  if (draft) KEYWARD_TRY(CheckDraft(*draft, directory));
  KEYWARD_TRY(RemoveFile(directory / kStateDraft));
  KEYWARD_TRY(RemoveFile(directory / (std::string(kStateDraft) + "-wal")));
  KEYWARD_TRY(RemoveFile(directory / (std::string(kStateDraft) + "-shm")));
  if (!draft) return {};
  KEYWARD_ASSIGN(CustodianPool* const pool, FindCustodian(pools, draft->custodian));
  KEYWARD_TRY(AskAndWait<void>(
      *pool, [&draft](Custodian& custodian) { return DestroyHome(custodian, PartsOf(*draft)); }));
  return RemoveFile(directory / kMasterDraft);
}

Result<void> FinishHome(const fs::path& directory, const MasterRecord& made) {
  KEYWARD_ASSIGN(const std::optional<MasterRecord> draft,
                 ReadMasterRecord(directory / kMasterDraft));
  // The draft of another home is of a try that came to nothing.
  if (!draft || draft->seal != made.seal) return {};
  KEYWARD_TRY(MoveFile(directory / kStateDraft, directory / kStateFile));
  return RemoveFile(directory / kMasterDraft);
}

Result<void> DestroyHome(Custodian& custodian, const HardwareParts& parts) {
  KEYWARD_TRY(custodian.master_sealer().DestroyMaster(parts.seal));
  return custodian.counter().Destroy(parts.counter);
}

}  // namespace keyward
