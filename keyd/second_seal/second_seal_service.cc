#include "keyd/second_seal/second_seal_service.h"

#include <utility>

#include "core/encoding.h"
#include "core/file.h"
#include "keyd/ask.h"
#include "keyd/audit_events.h"
#include "keyd/log.h"
#include "keyd/master_home.h"
#include "keyd/second_seal/recovery_seal.h"

namespace keyward {
namespace {

using audit::EventKind;

using Master = const std::optional<MasterKey>;

// What a killed making has left under the name goes first.
Result<Bytes> SealAnew(Custodian& custodian, const KeyId& id, Unsealer::HeldMaster& held,
                       const std::optional<PublicKey>& authority) {
  KEYWARD_TRY(custodian.master_sealer().DestroyMaster(id));
  return held.With([&](Master& master) {
    return custodian.master_sealer().SealMaster(id, master->bytes(), authority);
  });
}

Result<backup::RecoveryCertificate> OneCertificate(ByteView pem) {
  KEYWARD_ASSIGN(std::vector<backup::RecoveryCertificate> all,
                 backup::RecoveryCertificate::FromPem(pem));
  if (all.size() == 1) return std::move(all.front());
  return Fail(ErrorCode::kInvalidArgument, "the second seal is for one recovery certificate");
}

// Where its hardware part may be; `place`: "" where no file tells.
std::vector<std::string> HomesOf(const std::string& place, const KeyRingPools& pools) {
  if (place == kInRecovery) return {};
  if (!place.empty()) return {place};
  std::vector<std::string> all;
  for (const auto& [name, pool] : pools) {
    if (pool->configured()) all.push_back(name);
  }
  return all;
}

std::unexpected<Error> IsBusy() {
  return Fail(Error(ErrorCode::kBusy, "the second seal is being made or destroyed just now")
                  .WithRetryAfter(1000));
}

}  // namespace

// A second seal on its way.
struct SecondSealService::Making {
  SecondSeal seal;
  std::optional<PublicKey> authority = std::nullopt;
  std::optional<backup::RecoveryCertificate> certificate = std::nullopt;
  std::shared_ptr<Unsealer::HeldMaster> master = nullptr;  // ended when it is not needed any more
  CustodianPool* pool = nullptr;
  uint32_t caller = 0;
  Done done = nullptr;

  audit::Event Event() const {
    audit::Event event = MakeEvent(EventKind::kMasterSeal, caller, seal.place);
    if (certificate) {
      event.detail.push_back({"certificate", audit::SafeText(ToHex(seal.holder))});
    } else if (authority) {
      event.detail.push_back({"authority", audit::SafeText(ToHex(authority->Fingerprint()))});
    }
    return event;
  }
};

Result<std::shared_ptr<SecondSealService::Making>> SecondSealService::Begin(
    const SecondSealRequest& request, uint32_t caller) const {
  KEYWARD_ASSIGN(Vault* const vault, daemon_.Unsealed());
  if (busy_) return IsBusy();
  auto making = std::make_shared<Making>();
  making->master = vault->Hold(std::optional<MasterKey>());
  making->caller = caller;
  making->seal.place = request.place;
  making->seal.made = daemon_.clock.Now();
  making->seal.check = unsealer_.record().check;
  if (request.place == kInRecovery) {
    KEYWARD_ASSIGN(making->certificate, OneCertificate(request.material));
    making->seal.holder = making->certificate->Fingerprint();
  } else if (request.place == unsealer_.record().custodian) {
    return Fail(ErrorCode::kInvalidArgument,
                "the master key is in the " + request.place + ": a second seal goes elsewhere");
  } else {
    KEYWARD_ASSIGN(making->pool, FindCustodian(daemon_.pools, request.place));
    if ((request.place == "tpm") == request.material.empty()) {
      return Fail(ErrorCode::kInvalidArgument,
                  "a TPM needs an authority that signs PCR policies, and an HSM takes none");
    }
    if (!request.material.empty()) {
      KEYWARD_ASSIGN(making->authority, PublicKey::FromSpki(request.material));
      making->seal.holder = request.material;
    }
  }
  KEYWARD_ASSIGN(const std::optional<SecondSeal> there, ReadSecondSeal(directory_));
  if (!there) return making;
  return Fail(ErrorCode::kAlreadyExists,
              "there is a second seal already: keyctl master forget, if it is to be another one");
}

void SecondSealService::Make(const SecondSealRequest& request, uint32_t caller, const Done& done) {
  const Result<std::shared_ptr<Making>> begun = Begin(request, caller);
  if (!begun) {
    daemon_.audit.RecordRefusal(MakeEvent(EventKind::kMasterSeal, caller, request.place),
                                begun.error());
    return done(Fail(begun.error()));
  }
  const std::shared_ptr<Making>& making = *begun;
  if (const Result<void> told = daemon_.audit.Record(making->Event()); !told) return done(told);
  busy_ = true;
  making->done = Ending(making->Event(), done);
  unsealer_.ReleaseMaster(caller, making->master, [this, making](const Result<void>& released) {
    if (!released) return making->done(released);
    Seal(making);
  });
}

SecondSealService::Done SecondSealService::Ending(const audit::Event& event, const Done& done) {
  return [this, event, done](const Result<void>& outcome) {
    busy_ = false;
    if (!outcome) daemon_.audit.RecordDone(Failed(event, outcome.error()));
    done(outcome);
  };
}

void SecondSealService::Seal(const std::shared_ptr<Making>& making) {
  if (making->pool != nullptr) return SealInHardware(making);
  Result<Bytes> sealed = making->master->With(
      [&](Master& master) { return SealForRecovery(*making->certificate, *master); });
  if (!sealed) return making->done(Fail(sealed.error()));
  making->seal.sealed = std::move(*sealed);
  Keep(making);
}

void SecondSealService::SealInHardware(const std::shared_ptr<Making>& making) {
  Ask<Bytes>(
      *making->pool, making->caller, daemon_.post,
      [making, id = SecondSealId(making->seal.check)](Custodian& custodian) {
        return SealAnew(custodian, id, *making->master, making->authority);
      },
      [this, making](Result<Bytes> record) {
        if (record) {
          making->seal.sealed = std::move(*record);
          return Keep(making);
        }
        making->master->End();
        DestroyPart(
            making->seal.place, making->caller,
            [making, why = record.error()](const Result<void>&) { making->done(Fail(why)); });
      });
}

void SecondSealService::Keep(const std::shared_ptr<Making>& making) {
  Result<void> kept =
      making->master->With([&](Master& master) { return Authenticate(making->seal, *master); });
  making->master->End();
  if (kept) kept = ReplaceFile(directory_ / kSecondFile, Encode(making->seal));
  if (kept)
    Log(LogLevel::kNotice, "a second seal of the master key was made: {}", making->seal.place);
  if (kept || making->pool == nullptr) return making->done(kept);
  DestroyPart(making->seal.place, making->caller,
              [making, kept](const Result<void>&) { making->done(kept); });
}

Result<Seals> SecondSealService::Show() const {
  Seals seals{.custodian = unsealer_.record().custodian, .second = std::nullopt, .former = {}};
  KEYWARD_ASSIGN(seals.second, ReadSecondSeal(directory_));
  if (unsealer_.former()) seals.former = unsealer_.former()->parts.custodian;
  if (unsealer_.former_refused()) seals.former = kRefusedFormer;
  return seals;
}

void SecondSealService::DestroyPart(const std::string& custodian, uint32_t caller,
                                    const Done& done) {
  const Result<CustodianPool*> pool = FindCustodian(daemon_.pools, custodian);
  if (!pool) return done(Fail(pool.error()));
  Ask<void>(
      **pool, caller, daemon_.post,
      [id = SecondSealId(unsealer_.record().check)](Custodian& hardware) {
        return hardware.master_sealer().DestroyMaster(id);
      },
      done);
}

Result<void> SecondSealService::MayForget(const Result<std::optional<SecondSeal>>& second,
                                          bool lost) const {
  KEYWARD_TRY(daemon_.Unsealed());
  if (busy_) return IsBusy();
  if (!second && !lost) return Fail(second.error());
  return {};
}

void SecondSealService::Forget(bool lost, uint32_t caller, const Done& give) {
  const Result<std::optional<SecondSeal>> second = ReadSecondSeal(directory_);
  const std::string place = second && *second ? (*second)->place : std::string();
  audit::Event event = MakeEvent(EventKind::kMasterForget, caller, place);
  if (lost) event.detail = {{"lost", uint64_t{1}}};
  if (const Result<void> may = MayForget(second, lost); !may) {
    daemon_.audit.RecordRefusal(event, may.error());
    return give(may);
  }
  if (const Result<void> told = daemon_.audit.Record(event); !told) return give(told);
  busy_ = true;
  const Done done = Ending(event, give);
  const std::vector<std::string> homes = HomesOf(place, daemon_.pools);
  auto left = std::make_shared<size_t>(homes.size() + 1);
  auto outcome = std::make_shared<Result<void>>();
  const Done one_done = [this, left, outcome, lost, done](const Result<void>& destroyed) {
    if (*outcome && !destroyed && !lost) *outcome = destroyed;
    if (--*left > 0) return;
    done(*outcome ? RemoveFile(directory_ / kSecondFile) : *outcome);
  };
  for (const std::string& home : homes) DestroyPart(home, caller, one_done);
  one_done({});
}

}  // namespace keyward
