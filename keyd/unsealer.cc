#include "keyd/unsealer.h"

#include <utility>

#include "core/file.h"
#include "keyd/ask.h"
#include "keyd/audit_events.h"
#include "keyd/audit_opening.h"
#include "keyd/epoch_counter.h"
#include "keyd/log.h"
#include "keyd/master_home.h"

namespace keyward {
namespace {

const PcrSelection kDefaultPcrs = {7};  // the state of Secure Boot

Error SealedByAdmin() {
  return {ErrorCode::kSealed, "an administrator has sealed the service: keyctl unseal"};
}

Error NoPcrs() {
  return {
      ErrorCode::kNotSupported,
      "the master key is in an HSM, which knows nothing of the boot: there are no PCR policies"};
}

// Whether it may pass without anybody changing what is stored.
bool MayPass(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCustodianUnavailable:
    case ErrorCode::kCustodianBusy:
    case ErrorCode::kCustodianReplaced:
    case ErrorCode::kCustodianCleared:
    case ErrorCode::kCircuitBreakerOpen:
    case ErrorCode::kLockedOut:
    case ErrorCode::kPinRejected:
    case ErrorCode::kPcrMismatch:
    case ErrorCode::kBusy:
    case ErrorCode::kSealed:
    case ErrorCode::kIo:
    case ErrorCode::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

// What an admin is told whose Unseal keyd goes on with by itself.
Error WillTryAgain(const Error& why) {
  if (!MayPass(why.code()) || why.code() == ErrorCode::kSealed) return why;
  return Error(why.code(), why.message() +
                               "; no administrator's seal is in force any more: keyd unseals by "
                               "itself as soon as it can")
      .WithAction(why.action())
      .WithRetryAfter(why.retry_after_ms())
      .WithCause(why.cause());
}

Error Destroyed(const Error& error) {
  return Error(ErrorCode::kNotInitialised,
               "the hardware no longer has its part of the master key: it was destroyed, or this "
               "is other hardware; bring that back, or use a second seal with keyctl master "
               "reseal, restore a backup, or keyctl init anew")
      .WithCause(error.message());
}

}  // namespace

Result<std::unique_ptr<Unsealer>> Unsealer::Create(Daemon& daemon,
                                                   std::filesystem::path state_directory) {
  KEYWARD_ASSIGN(std::optional<MasterRecord> record,
                 ReadMasterRecord(state_directory / kMasterFile));
  if (!record) {
    KEYWARD_ASSIGN(const bool stored, FileExists(state_directory / kStateFile));
    return Fail(ErrorCode::kNotInitialised,
                stored ? "the file master-key of this state.db is missing: put it back, or restore "
                         "a backup"
                       : "there is no master key yet: run keyctl init");
  }
  if (!daemon.pools.contains(record->custodian)) {
    return Fail(ErrorCode::kConfiguration, "the master key is in the '" + record->custodian +
                                               "', which security.yaml does not configure");
  }
  KEYWARD_TRY(FinishHome(state_directory, *record));
  daemon.sealed_because = Error(ErrorCode::kSealed, "keyd is starting");
  KEYWARD_ASSIGN(PcrPolicies policies, PcrPolicies::Read(state_directory / "pcr-policies"));
  std::unique_ptr<Unsealer> unsealer(
      new Unsealer(daemon, std::move(state_directory), std::move(*record), std::move(policies)));
  unsealer->ReadFormer();
  return unsealer;
}

// Nothing depends on the file: what cannot be read is told, and left.
void Unsealer::ReadFormer() {
  Result<std::optional<FormerHome>> former = ReadFormerHome(directory_);
  if (!former) return RefuseFormer(former.error());
  former_ = std::move(*former);
}

void Unsealer::RefuseFormer(const Error& why) {
  LogError("the master key's former home", why);
  former_refused_ = true;
  former_.reset();
}

void Unsealer::CheckFormer(const MasterKey& master) {
  if (!former_) return;
  const Result<void> checked = CheckFormerHome(*former_, record_, master);
  if (!checked) return RefuseFormer(checked.error());
  if (!CameToNothing(*former_, record_)) return;
  former_.reset();
  if (const Result<void> removed = RemoveFile(directory_ / kMasterFormer); !removed) {
    LogError("removing master-key.former", removed.error());
  }
}

void Unsealer::TryUnseal(const Done& done) {
  if (daemon_.vault != nullptr) return done({});
  waiting_.push_back(done);
  if (waiting_.size() > 1) return;
  const Result<bool> sealed = FileExists(SealMark());
  if (!sealed) return Finish(Fail(sealed.error()));
  if (*sealed || sealed_by_admin_) return Finish(Fail(SealedByAdmin()));
  // A count that a sealed vault has left under way comes first: two at once would count twice.
  if (counting_ == 0) StartAttempt();
}

Result<Unsealer::Released> Unsealer::Release(Custodian& custodian, const MasterRecord& record,
                                             const std::vector<SignedPcrPolicy>& policies) {
  KEYWARD_ASSIGN(SecretBytes master,
                 custodian.master_sealer().UnsealMaster(record.seal, record.record, policies));
  KEYWARD_ASSIGN(const uint64_t counter, custodian.counter().Read(record.counter));
  return Released{std::move(master), counter};
}

void Unsealer::StartAttempt() {
  EndAttempt();
  wanted_ = std::make_shared<std::atomic<bool>>(true);
  Ask<Released>(
      pool(), kDaemonItself, daemon_.post,
      [record = record_, policies = policies_.all(),
       wanted = wanted_](Custodian& custodian) -> Result<Released> {
        if (!*wanted) return Fail(SealedByAdmin());
        return Release(custodian, record, policies);
      },
      [this, wanted = wanted_](Result<Released> released) {
        if (*wanted) OnReleased(std::move(released));
      });
}

void Unsealer::EndAttempt() {
  if (wanted_ != nullptr) *wanted_ = false;
}

void Unsealer::Unseal(uint32_t caller, const Done& done) {
  if (daemon_.vault != nullptr) return done({});
  if (Result<void> lifted = LiftSeal(caller); !lifted) return done(std::move(lifted));
  if (unsealed_by_ == kDaemonItself) unsealed_by_ = caller;
  TryUnseal([done](const Result<void>& outcome) {
    done(outcome ? outcome : Fail(WillTryAgain(outcome.error())));
  });
}

Result<void> Unsealer::LiftSeal(uint32_t caller) {
  KEYWARD_ASSIGN(const bool marked, FileExists(SealMark()));
  if (!marked && !sealed_by_admin_) return {};
  audit::Event event = MakeEvent(audit::EventKind::kServiceUnseal, caller, record_.custodian);
  event.detail = {{"asked", uint64_t{1}}};
  daemon_.audit.RecordDone(event);  // too many that wait for the log are no reason to stay sealed
  if (Result<void> removed = RemoveFile(SealMark()); !removed) {
    daemon_.audit.RecordDone(Failed(event, removed.error()));
    return removed;
  }
  sealed_by_admin_ = false;
  unsealed_by_ = caller;
  return {};
}

void Unsealer::DropVault() {
  sealed_by_admin_ = true;
  unsealed_by_ = kDaemonItself;
  EndAttempt();
  candidate_.reset();  // which ends an attempt that is under way
  daemon_.vault.reset();
  for (const auto& [name, pool] : daemon_.pools) pool->DropCustodians();
  daemon_.on_vault_changed();
  Finish(Fail(SealedByAdmin()));
}

Result<void> Unsealer::Seal() {
  DropVault();
  return ReplaceFile(SealMark(), {});
}

void Unsealer::ReleaseMaster(uint32_t caller, const std::shared_ptr<HeldMaster>& held,
                             const Done& done) {
  Ask<SecretBytes>(
      pool(), caller, daemon_.post,
      [record = record_, policies = policies_.all(),
       held](Custodian& custodian) -> Result<SecretBytes> {
        KEYWARD_TRY(held->CheckHeld());
        return custodian.master_sealer().UnsealMaster(record.seal, record.record, policies);
      },
      [this, held, done](Result<SecretBytes> bytes) {
        if (!bytes) return done(Fail(bytes.error()));
        done(held->With([&](std::optional<MasterKey>& master) -> Result<void> {
          KEYWARD_ASSIGN(master, CheckedMaster(std::move(*bytes), record_));
          return {};
        }));
      });
}

void Unsealer::SweepFormer(CustodianPool& custodian) {
  if (!former_ || former_->parts.custodian != custodian.name() || !custodian.configured()) return;
  const FormerHome former = *std::exchange(former_, std::nullopt);
  Ask<void>(
      custodian, kDaemonItself, daemon_.post,
      [former](Custodian& hardware) { return DestroyHome(hardware, former.parts); },
      [this, former](Result<void> destroyed) {
        if (destroyed) destroyed = RemoveFile(directory_ / kMasterFormer);
        if (destroyed) return;
        former_ = former;  // for the next time that it is found to serve
        LogError("destroying what is left of the master key's former seal", destroyed.error());
      });
}

Result<Bytes> Unsealer::PcrAuthority() const {
  if (!record_.authority.empty()) return record_.authority;
  KEYWARD_ASSIGN(const std::optional<SecondSeal> second, ReadSecondSeal(directory_));
  if (second && second->place == "tpm") return second->holder;
  return Fail(NoPcrs());
}

Result<void> Unsealer::AddPcrPolicy(const SignedPcrPolicy& policy) {
  KEYWARD_ASSIGN(const Bytes spki, PcrAuthority());
  KEYWARD_ASSIGN(const PublicKey authority, PublicKey::FromSpki(spki));
  KEYWARD_TRY(policies_.Add(policy, authority));
  Log(LogLevel::kNotice, "a signed PCR policy was added");
  if (daemon_.sealed_because.code() == ErrorCode::kPcrMismatch) {
    TryUnseal([](const Result<void>&) {});
  }
  return {};
}

void Unsealer::ShowPcrs(const PcrSelection& also, const PcrStateDone& done) {
  const Result<Bytes> authority = PcrAuthority();
  if (!authority) return done(Fail(authority.error()));
  PcrSelection pcrs = also;
  if (!policies_.all().empty()) pcrs.merge(PcrSelection(policies_.all().front().pcrs));
  if (pcrs.empty()) pcrs = kDefaultPcrs;
  const Result<CustodianPool*> tpm = FindCustodian(daemon_.pools, "tpm");  // it has an authority
  if (!tpm) return done(Fail(tpm.error()));
  Ask<PcrValues>(
      **tpm, kDaemonItself, daemon_.post,
      [pcrs](Custodian& custodian) -> Result<PcrValues> {
        Attester* attester = custodian.attester();
        if (attester == nullptr) return Fail(NoPcrs());
        return attester->ReadPcrs(pcrs);
      },
      [this, authority = *authority, done](Result<PcrValues> values) {
        if (!values) return done(Fail(values.error()));
        done(PcrState{authority, std::move(*values), policies_.all()});
      });
}

void Unsealer::Stop() {
  waiting_.clear();
  EndAttempt();
  candidate_.reset();
}

void Unsealer::OnHealthy(CustodianPool& custodian) {
  const bool has_master_key = custodian.name() == record_.custodian;
  if (daemon_.vault == nullptr) {
    if (has_master_key) TryUnseal([](const Result<void>&) {});
    return;
  }
  if (has_master_key) daemon_.vault->journal().Resume();
  daemon_.vault->keys().SweepPending(custodian);
  SweepFormer(custodian);
}

void Unsealer::ConfirmEpoch(uint64_t epoch, const Done& done) {
  ++counting_;
  Ask<void>(
      pool(), kDaemonItself, daemon_.post,
      [id = record_.counter, epoch](Custodian& custodian) {
        return RaiseTo(custodian.counter(), id, epoch);
      },
      [this, done](const Result<void>& confirmed) {
        --counting_;
        done(confirmed);
        if (counting_ == 0 && !waiting_.empty() && candidate_ == nullptr) StartAttempt();
      });
}

Result<std::unique_ptr<Vault>> Unsealer::OpenVault(Released released) {
  KEYWARD_ASSIGN(const MasterKey master, CheckedMaster(std::move(released.master), record_));
  CheckFormer(master);
  KEYWARD_ASSIGN(StoreKeys keys, StoreKeysOf(master, record_));
  KEYWARD_ASSIGN(SecretBytes backup_key, master.Derive(Subkey::kBackup));
  KEYWARD_ASSIGN(SecretBytes token_key, master.Derive(Subkey::kToken));
  KEYWARD_ASSIGN(SecretBytes tail_key, master.Derive(Subkey::kAudit));
  KEYWARD_ASSIGN(SecretBytes transport_key, master.Derive(Subkey::kTransport));
  KEYWARD_ASSIGN(std::unique_ptr<Store> store,
                 Store::Open(directory_ / kStateFile, std::move(keys), daemon_.rng));
  KEYWARD_TRY(CheckEpoch(store->epoch(), released.counter));
  const auto confirm = [this](uint64_t epoch, const Done& done) { ConfirmEpoch(epoch, done); };
  const auto rules = [this](std::string_view key) { return daemon_.policy->RotationOf(key); };
  const auto changed = [this](const VersionChange& change) { daemon_.OnVersionChanged(change); };
  KEYWARD_ASSIGN(const StoredState state, store->Load());
  KEYWARD_TRY(
      OpenAudit(daemon_.audit, directory_, daemon_.policy->audit(), state, std::move(tail_key)));
  return Vault::Create({std::move(store),
                        state,
                        daemon_.audit,
                        daemon_.policy->audit().checkpoint_interval,
                        released.counter,
                        confirm,
                        record_.custodian,
                        daemon_.pools,
                        daemon_.clock,
                        daemon_.rng,
                        daemon_.post,
                        rules,
                        changed,
                        {std::move(backup_key), record_.check, record_.custodian},
                        std::make_shared<const SecretBytes>(std::move(token_key)),
                        std::make_shared<const SecretBytes>(std::move(transport_key))});
}

audit::Event Unsealer::Beginning() const {
  const auto kind =
      has_served_ ? audit::EventKind::kServiceUnseal : audit::EventKind::kServiceStart;
  audit::Event event = MakeEvent(kind, unsealed_by_, record_.custodian);
  event.detail = daemon_.boot.AuditDetails();
  return event;
}

void Unsealer::OnReleased(Result<Released> released) {
  if (waiting_.empty() || candidate_ != nullptr) return;
  if (!released) {
    const bool gone = released.error().code() == ErrorCode::kNotFound;
    return Finish(Fail(gone ? Destroyed(released.error()) : released.error()));
  }
  Result<std::unique_ptr<Vault>> vault = OpenVault(std::move(*released));
  const Result<void> told =
      vault ? daemon_.audit.RecordReserved(Beginning()) : Result<void>(Fail(vault.error()));
  if (!told) {
    vault = Fail(told.error());  // before the log that its journal writes to
    daemon_.audit.Close();
    return Finish(told);
  }
  candidate_ = std::move(*vault);
  // The start counts: see journal.h.
  candidate_->journal().Commit(
      [](StoreWriter&) -> Result<void> { return {}; },
      std::nullopt,  // told already, from the reserve: a full disk keeps nothing from serving
      [this](const Journal::Outcome& outcome) { OnConfirmed(outcome.result); });
}

void Unsealer::OnConfirmed(const Result<void>& confirmed) {
  const std::unique_ptr<Vault> refused = confirmed ? nullptr : std::move(candidate_);
  if (!confirmed) {
    daemon_.audit.RecordRefusal(Beginning(), confirmed.error());
    daemon_.audit.Close();
  } else {
    if (const Result<void> ended = EndAuditMarks(directory_); !ended) {
      LogError("removing what the audit log has told", ended.error());
    }
    daemon_.vault = std::move(candidate_);
    daemon_.tokens.Use(daemon_.vault->token_key());
    daemon_.on_vault_changed();
    for (const auto& [name, pool] : daemon_.pools) {
      daemon_.vault->keys().SweepPending(*pool);
      SweepFormer(*pool);
    }
  }
  Finish(confirmed);
}

void Unsealer::Finish(const Result<void>& outcome) {
  if (outcome) {
    unsealed_by_ = kDaemonItself;
    has_served_ = true;
    Log(LogLevel::kNotice, "serves: {} keys", daemon_.vault->keys().keys().size());
  } else {
    if (daemon_.sealed_because.message() != outcome.error().message()) {
      LogError("sealed", outcome.error());
    }
    daemon_.sealed_because = outcome.error();
    if (!has_served_ && !MayPass(outcome.error().code())) fatal_ = outcome.error();
  }
  for (const Done& done : std::exchange(waiting_, {})) done(outcome);
}

}  // namespace keyward
