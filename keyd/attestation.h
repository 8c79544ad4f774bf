// Has the TPM quote: once for this boot, and whenever an admin asks.
#pragma once

#include <functional>
#include <string>

#include "keyd/daemon.h"

namespace keyward {

// Belongs to the bus thread.
class Attestation {
 public:
  static constexpr std::string_view kCustodian = "tpm";
  using QuoteDone = std::function<void(Result<Quote>)>;

  explicit Attestation(Daemon& daemon) : daemon_(daemon) {}

  // Takes the quote of this boot, unless there is one already or it is under way. A TPM that is
  // away keeps nobody waiting: the quote is taken when it comes.
  void Begin();
  // An admin said that the state of now is well: where the PCRs are not those of the quote, a new
  // quote of this boot takes its place.
  void Renew();
  // To be called when `custodian` was found to serve.
  void OnHealthy(const CustodianPool& custodian);

  // A fresh quote for somebody else's nonce (1 to kMaxQuoteNonce bytes), over the same PCRs.
  // Errors: kNotSupported (no TPM), those of Attester::MakeQuote.
  void MakeQuote(Bytes nonce, uint32_t caller, const QuoteDone& done);
  // The quote of this boot, whose nonce is the boot's id. Errors: kNotSupported (no TPM), and why
  // there is none yet.
  Result<Quote> QuoteOfBoot() const;

 private:
  void TakeQuote();
  void OnQuote(const Result<Quote>& quote);

  Daemon& daemon_;
  bool under_way_ = false;
};

}  // namespace keyward
