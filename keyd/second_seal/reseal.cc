#include "keyd/second_seal/reseal.h"

#include <algorithm>
#include <utility>

#include "core/file.h"
#include "keyd/ask.h"
#include "keyd/audit_events.h"
#include "keyd/audit_opening.h"
#include "keyd/backup/restore.h"
#include "keyd/epoch_counter.h"
#include "keyd/former_home.h"
#include "keyd/pcr_policies.h"
#include "keyd/second_record.h"
#include "keyd/second_seal/recovery_seal.h"
#include "policy/name_rules.h"

namespace keyward {
namespace {

// Whether a custodian that says so is lost, or another one stands in its place.
bool IsLost(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kConfiguration:
    case ErrorCode::kCustodianUnavailable:
    case ErrorCode::kCustodianReplaced:
    case ErrorCode::kCustodianCleared:
      return true;
    default:
      return false;
  }
}

WallTime LastChangeOf(const StoredState& state) {
  WallTime last{};
  for (const VersionRecord& version : state.versions) {
    last = std::max(
        {last, version.created, version.activated.value_or(last), version.revoked.value_or(last)});
  }
  for (const RevocationRecord& record : state.revocations) {
    if (record.issuer.empty()) last = std::max(last, record.revocation.at);
  }
  return last;
}

// Left beside a closed store, it would be played into the one that comes in its place.
Result<void> CheckClosed(const std::filesystem::path& directory) {
  KEYWARD_ASSIGN(const bool rest, FileExists(directory / (std::string(kStateFile) + "-wal")));
  if (!rest) return {};
  return Fail(ErrorCode::kIo, "state.db could not be closed: see whether the disk is full");
}

class Resealer {
 public:
  Resealer(const ResealRequest& request, const ResealPlace& place)
      : request_(request), place_(place), directory_(place.state_directory) {}

  Result<Resealing> Run() {
    KEYWARD_TRY(Read());
    KEYWARD_ASSIGN(CustodianPool* const pool, FindCustodian(place_.pools, request_.custodian));
    KEYWARD_ASSIGN(const MasterKey master, Release());
    KEYWARD_TRY(CheckEarlier(master));
    KEYWARD_ASSIGN(StoredState state, LoadStore(master));
    KEYWARD_TRY(AskFormer());
    FindLost(state);
    if (!request_.for_good) return std::move(to_);
    KEYWARD_TRY(CleanUp());
    KEYWARD_TRY(Move(master, std::move(state), *pool));
    TidyUp();
    return std::move(to_);
  }

 private:
  Result<void> Read() {
    KEYWARD_ASSIGN(std::optional<MasterRecord> record, ReadMasterRecord(directory_ / kMasterFile));
    if (!record) return Fail(ErrorCode::kNotInitialised, "there is no master key: keyctl init");
    KEYWARD_TRY(FinishHome(directory_, *record));
    KEYWARD_ASSIGN(std::optional<SecondSeal> second, ReadSecondSeal(directory_));
    if (!second) {
      return Fail(ErrorCode::kNotFound,
                  "the master key has no second seal; without the hardware that has it, restore a "
                  "backup");
    }
    record_ = std::move(*record);
    second_ = std::move(*second);
    to_.opened_by = to_.second = second_.place;
    to_.former = record_.custodian;
    to_.custodian = request_.custodian;
    return {};
  }

  Result<MasterKey> Release() const {
    KEYWARD_ASSIGN(MasterKey master, second_.InHardware() ? FromHardware() : FromRecoveryKey());
    KEYWARD_TRY(CheckSecondSeal(second_, master));
    KEYWARD_ASSIGN(const SecretBytes check, master.Derive(Subkey::kCheck));
    if (check.Equals(record_.check)) return master;
    return Fail(ErrorCode::kDataCorrupt,
                "the second seal is of another master key: put back the files master-key and "
                "master-key.second that belong together");
  }

  Result<MasterKey> FromHardware() const {
    if (request_.input.key >= 0) {
      return Fail(ErrorCode::kInvalidArgument,
                  "the second seal is in the " + second_.place + ": it takes no recovery key");
    }
    KEYWARD_ASSIGN(CustodianPool* const pool, FindCustodian(place_.pools, second_.place));
    KEYWARD_ASSIGN(const PcrPolicies policies, PcrPolicies::Read(directory_ / "pcr-policies"));
    KEYWARD_ASSIGN(SecretBytes bytes, AskAndWait<SecretBytes>(*pool, [&](Custodian& custodian) {
                     return custodian.master_sealer().UnsealMaster(SecondSealId(second_.check),
                                                                   second_.sealed, policies.all());
                   }));
    return MasterKey::FromBytes(std::move(bytes));
  }

  Result<MasterKey> FromRecoveryKey() const {
    if (request_.input.key < 0) {
      return Fail(ErrorCode::kInvalidArgument,
                  "the second seal is for a recovery key: give it with --recovery-key");
    }
    KEYWARD_ASSIGN(const backup::RecoveryKey key, backup::ReadRecoveryKey(request_.input));
    return OpenWithRecoveryKey(second_.sealed, key);
  }

  // What it names is destroyed, and the file gives way to another: so it has to be keyd's own.
  Result<void> CheckEarlier(const MasterKey& master) {
    KEYWARD_ASSIGN(earlier_, ReadFormerHome(directory_));
    if (!earlier_) return {};
    return CheckFormerHome(*earlier_, record_, master);
  }

  Result<StoredState> LoadStore(const MasterKey& master) {
    KEYWARD_ASSIGN(StoreKeys keys, StoreKeysOf(master, record_));
    KEYWARD_ASSIGN(std::unique_ptr<Store> store,
                   Store::Open(directory_ / kStateFile, std::move(keys), place_.rng));
    KEYWARD_ASSIGN(StoredState state, store->Load());
    to_.epoch = store->epoch();
    to_.last_change = LastChangeOf(state);
    if (state.audit_head) to_.audit_record = state.audit_head->seq;
    store.reset();
    KEYWARD_TRY(CheckClosed(directory_));
    return state;
  }

  Result<void> AskFormer() {
    const Result<CustodianPool*> pool = FindCustodian(place_.pools, record_.custodian);
    const Result<uint64_t> counter =
        pool ? AskAndWait<uint64_t>(**pool,
                                    [this](Custodian& custodian) {
                                      return custodian.counter().Read(record_.counter);
                                    })
             : Result<uint64_t>(Fail(pool.error()));
    if (counter) {
      to_.former_answers = true;
      return CheckEpoch(to_.epoch, *counter);
    }
    if (IsLost(counter.error().code())) return {};
    return Fail(
        Error(counter.error().code(),
              "whether the " + record_.custodian +
                  " that has the master key is lost cannot be told: " + counter.error().message() +
                  "; if it is, take its section out of security.yaml")
            .WithCause(counter.error().cause()));
  }

  void FindLost(const StoredState& state) {
    if (to_.former_answers) return;
    for (const VersionRecord& version : state.versions) {
      const auto key = std::ranges::find(state.keys, version.key, &KeyRecord::name);
      if (key == state.keys.end() || key->custodian != record_.custodian) continue;
      if (version.key == policy::kServiceKeyName || !backup::CanSign(version)) continue;
      to_.lost.push_back({version.key, version.number, key->custody, key->custodian, version.spki});
    }
  }

  // Of earlier tries. What a custodian that is lost had of them is lost as well.
  Result<void> CleanUp() {
    if (earlier_ && !CameToNothing(*earlier_, record_)) {
      const Result<void> destroyed =
          Destroy(earlier_->parts.custodian, kMasterFormer,
                  [this](Custodian& custodian) { return DestroyHome(custodian, earlier_->parts); });
      if (!destroyed && !IsLost(destroyed.error().code())) return destroyed;
    }
    const Result<void> cleaned = CleanUpDraft(place_.pools, directory_);
    if (cleaned || !IsLost(cleaned.error().code())) return cleaned;
    return RemoveFile(directory_ / kMasterDraft);
  }

  Result<void> Move(const MasterKey& master, StoredState state, CustodianPool& pool) {
    const audit::Event event = Event();
    AuditTrail trail(place_.clock, place_.rng);
    KEYWARD_ASSIGN(SecretBytes tail_key, master.Derive(Subkey::kAudit));
    KEYWARD_TRY(OpenAudit(trail, directory_, place_.audit, state, std::move(tail_key)));
    KEYWARD_TRY(trail.Record(event));
    state.audit_head = trail.log()->head();
    state.audit_tail = trail.has_tail();
    ForgetServiceKey(state);
    KEYWARD_ASSIGN(const FormerHome former, MakeFormerHome(PartsOf(record_), master));
    KEYWARD_TRY(ReplaceFile(directory_ / kMasterFormer, Encode(former)));
    Result<MasterRecord> made =
        MakeHome(master, {request_.custodian, request_.authority, std::move(state)}, pool,
                 directory_, place_.rng);
    if (made) return EndAuditMarks(directory_);
    trail.RecordDone(Failed(event, made.error()));
    return Fail(made.error());
  }

  audit::Event Event() const {
    audit::Event event =
        MakeEvent(audit::EventKind::kMasterReseal, kDaemonItself, request_.custodian);
    event.detail = {{"opened_by", audit::SafeText(to_.opened_by)},
                    {"former", audit::SafeText(to_.former)},
                    {"former_answers", uint64_t{to_.former_answers ? 1U : 0U}},
                    {"epoch", to_.epoch}};
    return event;
  }

  // keyd makes it anew in the new custodian, when it signs next.
  void ForgetServiceKey(StoredState& state) const {
    const auto key = std::ranges::find(state.keys, policy::kServiceKeyName, &KeyRecord::name);
    if (to_.former_answers || key == state.keys.end() || key->custodian != record_.custodian)
      return;
    key->custodian = request_.custodian;
    for (VersionRecord& version : state.versions) {
      if (version.key != policy::kServiceKeyName) continue;
      version.state = VersionState::kDestroyed;
      version.reference.clear();
      version.retire_at.reset();
    }
  }

  // The new home holds: what fails from here on is told, and can be repeated.
  void TidyUp() {
    if (to_.former_answers) {
      Note(Destroy(
               record_.custodian, kMasterFormer,
               [this](Custodian& custodian) { return DestroyHome(custodian, PartsOf(record_)); }),
           "the former seal of the master key in the " + record_.custodian +
               "; keyd tries again when it serves");
    }
    if (second_.place != request_.custodian) return;
    to_.second.clear();
    Note(Destroy(second_.place, kSecondFile,
                 [this](Custodian& custodian) {
                   return custodian.master_sealer().DestroyMaster(SecondSealId(second_.check));
                 }),
         "the second seal in the " + second_.place + ": keyctl master forget");
  }

  Result<void> Destroy(const std::string& custodian, const char* file,
                       const std::function<Result<void>(Custodian&)>& part) {
    KEYWARD_ASSIGN(CustodianPool* const pool, FindCustodian(place_.pools, custodian));
    KEYWARD_TRY(AskAndWait<void>(*pool, part));
    return RemoveFile(directory_ / file);
  }

  void Note(const Result<void>& destroyed, const std::string& what) {
    if (!destroyed) to_.leftovers.push_back(what);
  }

  const ResealRequest& request_;
  const ResealPlace& place_;
  const std::filesystem::path& directory_;
  MasterRecord record_;  // of the home that it had
  SecondSeal second_;
  std::optional<FormerHome> earlier_;  // of a reseal before this one
  Resealing to_;
};

}  // namespace

Result<Resealing> Reseal(const ResealRequest& request, const ResealPlace& place) {
  return Resealer(request, place).Run();
}

}  // namespace keyward
