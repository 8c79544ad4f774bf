// Has the TPM quote: once for this boot, and whenever an admin asks.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "keyd/daemon.h"

namespace keyward {

// Belongs to the bus thread. The audit log has each quote of this boot, and whoever is given one.
class Attestation {
 public:
  static constexpr std::string_view kCustodian = "tpm";
  using QuoteDone = std::function<void(Result<Quote>)>;

  explicit Attestation(Daemon& daemon) : daemon_(daemon) {}

  // Takes the quote of this boot, unless there is one already or it is under way. A TPM that is
  // away keeps nobody waiting: the quote is taken when it comes.
  void Begin();
  // An admin said that the state of now is well, whatever it is: where the PCRs are not those of
  // the quote, a new quote of this boot takes its place, as soon as the TPM gives one.
  void Renew();
  // The same for a state that was signed: the PCRs have to be in it then, and none outside of it
  // may have left the quote. Else the former quote stays.
  void RenewIn(const SignedPcrPolicy& state);
  // To be called when `custodian` was found to serve.
  void OnHealthy(const CustodianPool& custodian);

  // A quote for an admin: the one of this boot, where `nonce` is empty, whose nonce is the boot's
  // id; else a fresh one for somebody else's nonce (up to kMaxQuoteNonce bytes), over the same
  // PCRs. Errors: kNotSupported (no TPM), those of Attester::MakeQuote, why there is none of this
  // boot yet, those of AuditTrail::RecordOrCount.
  void Attest(Bytes nonce, uint32_t caller, const QuoteDone& done);

 private:
  // In which state a new quote takes the place of the former one.
  struct Wish {
    std::optional<SignedPcrPolicy> state;  // nothing: in any
  };
  struct Sight {
    Quote quote;
    PcrValues others;  // PCRs of the wish that the quote does not cover
  };

  void TakeQuote();
  static Result<Sight> See(Custodian& custodian, const Bytes& nonce, const PcrSelection& pcrs,
                           const std::optional<Wish>& wish);
  void OnQuote(const Result<Sight>& sight, const std::optional<Wish>& wish);
  void Consider(const Sight& sight, const std::optional<Wish>& wish);
  Result<Quote> QuoteOfBoot() const;
  // Errors: kNotSupported.
  Result<CustodianPool*> Tpm() const;

  Daemon& daemon_;
  bool under_way_ = false;
  std::optional<Wish> wish_;  // until a quote comes that it is for
};

}  // namespace keyward
