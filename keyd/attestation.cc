#include "keyd/attestation.h"

#include <algorithm>
#include <utility>

#include "keyd/ask.h"
#include "keyd/audit_events.h"
#include "keyd/log.h"

namespace keyward {
namespace {

Error NoTpm() {
  return {ErrorCode::kNotSupported,
          "security.yaml configures no TPM, and an HSM knows nothing of the boot: there is nothing "
          "to attest"};
}

Result<Attester*> AttesterOf(Custodian& custodian) {
  Attester* const attester = custodian.attester();
  if (attester == nullptr) return Fail(NoTpm());
  return attester;
}

// Whether the PCRs that differ are all among `allowed`.
bool DifferOnlyIn(const PcrSelection& allowed, const PcrValues& former, const PcrValues& now) {
  return std::ranges::all_of(now, [&](const auto& each) {
    const auto before = former.find(each.first);
    const bool same = before != former.end() && before->second == each.second;
    return same || allowed.contains(each.first);
  });
}

}  // namespace

void Attestation::Begin() {
  if (daemon_.boot.state() == BootState::kWaiting) TakeQuote();
}

void Attestation::Renew() {
  if (daemon_.boot.state() == BootState::kNoTpm) return;
  wish_ = Wish{};
  TakeQuote();
}

void Attestation::RenewIn(const SignedPcrPolicy& state) {
  if (daemon_.boot.state() == BootState::kNoTpm) return;
  if (!wish_ || wish_->state) wish_ = Wish{state};
  TakeQuote();
}

void Attestation::OnHealthy(const CustodianPool& custodian) {
  if (custodian.name() != kCustodian) return;
  if (wish_) return TakeQuote();
  Begin();
}

void Attestation::TakeQuote() {
  if (under_way_) return;
  const Result<CustodianPool*> tpm = Tpm();
  if (!tpm) return daemon_.boot.NotTaken(tpm.error());
  under_way_ = true;
  const std::optional<Wish> wish = std::exchange(wish_, std::nullopt);
  Ask<Sight>(
      **tpm, kDaemonItself, daemon_.post,
      [nonce = ToBytes(daemon_.boot.id()), pcrs = *daemon_.boot.pcrs(),
       wish](Custodian& custodian) { return See(custodian, nonce, pcrs, wish); },
      [this, wish](const Result<Sight>& sight) { OnQuote(sight, wish); });
}

// Runs on the TPM's thread.
Result<Attestation::Sight> Attestation::See(Custodian& custodian, const Bytes& nonce,
                                            const PcrSelection& pcrs,
                                            const std::optional<Wish>& wish) {
  KEYWARD_ASSIGN(Attester* const attester, AttesterOf(custodian));
  KEYWARD_ASSIGN(Quote quote, attester->MakeQuote(nonce, pcrs));
  Sight sight{std::move(quote), {}};
  if (!wish || !wish->state) return sight;
  PcrSelection others = wish->state->pcrs;
  for (const uint32_t pcr : pcrs) others.erase(pcr);
  if (others.empty()) return sight;
  KEYWARD_ASSIGN(sight.others, attester->ReadPcrs(others));
  return sight;
}

void Attestation::OnQuote(const Result<Sight>& sight, const std::optional<Wish>& wish) {
  under_way_ = false;
  if (sight) {
    Consider(*sight, wish);
    if (wish_) TakeQuote();  // which came meanwhile
    return;
  }
  if (!wish_) wish_ = wish;
  daemon_.boot.NotTaken(sight.error());
  LogError("this boot is not attested", sight.error());
}

void Attestation::Consider(const Sight& sight, const std::optional<Wish>& wish) {
  const Quote& quote = sight.quote;
  if (const std::optional<Quote>& former = daemon_.boot.quote()) {
    if (former->pcrs == quote.pcrs && former->signed_by == quote.signed_by) return;
    if (!wish) return;
    PcrValues now = quote.pcrs;
    now.insert(sight.others.begin(), sight.others.end());
    const std::optional<SignedPcrPolicy>& state = wish->state;
    if (state && (!IsInState(now, state->pcrs, state->digest).value_or(false) ||
                  !DifferOnlyIn(state->pcrs, former->pcrs, quote.pcrs))) {
      return LogLine(LogLevel::kNotice,
                     "the signed PCR policy does not cover every PCR that has left the boot's "
                     "quote, or is for another state: the boot does not count as attested by it");
    }
  }
  daemon_.boot.Take(quote, daemon_.clock.Now());
  const BootName name = daemon_.boot.Name();
  Log(LogLevel::kNotice, "boot {} is attested by quote {}", name.id, name.quote);
  if (!daemon_.audit.is_open()) return;  // the next beginning tells
  audit::Event event =
      MakeEvent(audit::EventKind::kBootQuote, kDaemonItself, std::string(kCustodian));
  event.detail = daemon_.boot.AuditDetails();
  daemon_.audit.RecordDone(event);
}

Result<CustodianPool*> Attestation::Tpm() const {
  const auto pool = daemon_.pools.find(std::string(kCustodian));
  if (!daemon_.boot.pcrs() || pool == daemon_.pools.end()) return Fail(NoTpm());
  return pool->second.get();
}

void Attestation::Attest(Bytes nonce, uint32_t caller, const QuoteDone& done) {
  const audit::Event event =
      MakeEvent(audit::EventKind::kBootAttest, caller, nonce.empty() ? "boot" : "");
  const auto tell = [this, event, done](const Result<Quote>& quote) {
    if (!quote) {
      daemon_.audit.RecordRefusal(event, quote.error());
      return done(quote);
    }
    const Result<void> told = daemon_.audit.RecordOrCount(event);
    done(told ? quote : Fail(told.error()));
  };
  if (nonce.empty()) return tell(QuoteOfBoot());
  const Result<CustodianPool*> tpm = Tpm();
  if (!tpm) return tell(Fail(tpm.error()));
  Ask<Quote>(
      **tpm, caller, daemon_.post,
      [nonce = std::move(nonce),
       pcrs = *daemon_.boot.pcrs()](Custodian& custodian) -> Result<Quote> {
        KEYWARD_ASSIGN(Attester* const attester, AttesterOf(custodian));
        return attester->MakeQuote(nonce, pcrs);
      },
      tell);
}

Result<Quote> Attestation::QuoteOfBoot() const {
  const Boot& boot = daemon_.boot;
  if (boot.quote()) return *boot.quote();
  if (boot.state() == BootState::kNoTpm) return Fail(NoTpm());
  return Fail(ErrorCode::kCustodianUnavailable, boot.Detail());
}

}  // namespace keyward
