#include "keyd/attestation.h"

#include <utility>

#include "keyd/ask.h"
#include "keyd/log.h"

namespace keyward {
namespace {

Error NoTpm() {
  return {ErrorCode::kNotSupported,
          "security.yaml configures no TPM, and an HSM knows nothing of the boot: there is nothing "
          "to attest"};
}

// Runs on the TPM's thread.
Result<Quote> QuoteOn(Custodian& custodian, const Bytes& nonce, const PcrSelection& pcrs) {
  Attester* const attester = custodian.attester();
  if (attester == nullptr) return Fail(NoTpm());
  return attester->MakeQuote(nonce, pcrs);
}

}  // namespace

void Attestation::Begin() {
  if (daemon_.boot.state() == BootState::kWaiting) TakeQuote();
}

void Attestation::Renew() {
  if (daemon_.boot.state() != BootState::kNoTpm) TakeQuote();
}

void Attestation::OnHealthy(const CustodianPool& custodian) {
  if (custodian.name() == kCustodian) Begin();
}

void Attestation::TakeQuote() {
  if (under_way_) return;
  under_way_ = true;
  MakeQuote(ToBytes(daemon_.boot.id()), kDaemonItself,
            [this](const Result<Quote>& quote) { OnQuote(quote); });
}

void Attestation::OnQuote(const Result<Quote>& quote) {
  under_way_ = false;
  if (!quote) {
    daemon_.boot.NotTaken(quote.error());
    return LogError("this boot is not attested", quote.error());
  }
  const std::optional<Quote>& former = daemon_.boot.quote();
  if (former && former->pcrs == quote->pcrs && former->signed_by == quote->signed_by) return;
  daemon_.boot.Take(*quote, daemon_.clock.Now());
  const BootName name = daemon_.boot.Name();
  Log(LogLevel::kNotice, "boot {} is attested by quote {}", name.id, name.quote);
}

void Attestation::MakeQuote(Bytes nonce, uint32_t caller, const QuoteDone& done) {
  const auto pool = daemon_.pools.find(std::string(kCustodian));
  if (!daemon_.boot.pcrs() || pool == daemon_.pools.end()) return done(Fail(NoTpm()));
  Ask<Quote>(
      *pool->second, caller, daemon_.post,
      [nonce = std::move(nonce), pcrs = *daemon_.boot.pcrs()](Custodian& custodian) {
        return QuoteOn(custodian, nonce, pcrs);
      },
      done);
}

Result<Quote> Attestation::QuoteOfBoot() const {
  const Boot& boot = daemon_.boot;
  if (boot.quote()) return *boot.quote();
  if (boot.state() == BootState::kNoTpm) return Fail(NoTpm());
  return Fail(ErrorCode::kCustodianUnavailable, boot.Detail());
}

}  // namespace keyward
