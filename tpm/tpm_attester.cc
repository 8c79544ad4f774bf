#include "tpm/tpm_attester.h"

#include <sodium.h>
#include <tss2/tss2_mu.h>

#include <algorithm>

#include "tpm/pcr_bank.h"
#include "tpm/primary.h"
#include "tpm/sensitive.h"
#include "tpm/signature.h"
#include "tpm/templates.h"

namespace keyward::tpm {
namespace {

constexpr int kMaxTries = 4;

struct Attested {
  Bytes message;
  TPMT_SIGNATURE signature;
};

std::unexpected<Error> DoesNotHold(const char* what) {
  return Fail(Error(ErrorCode::kAuthenticationFailed, "the TPM's quote does not hold together")
                  .WithCause(what));
}

Result<Attested> Attest(Link& link, ESYS_TR key, ByteView nonce,
                        const TPML_PCR_SELECTION& selection) {
  TPM2B_DATA qualifying{};
  Assign(qualifying, nonce);
  TPMT_SIG_SCHEME scheme_of_key{};
  scheme_of_key.scheme = TPM2_ALG_NULL;
  EsysPtr<TPM2B_ATTEST> message;
  EsysPtr<TPMT_SIGNATURE> signature;
  KEYWARD_ASSIGN(const ESYS_TR session, link.Session(EsysSession::Protect::kNothing));
  const Outcome outcome = link.connection().Run("TPM2_Quote", [&] {
    return Esys_Quote(link.connection().get(), key, session, ESYS_TR_NONE, ESYS_TR_NONE,
                      &qualifying, &scheme_of_key, &selection, EsysOut(message),
                      EsysOut(signature));
  });
  KEYWARD_TRY(outcome.Check());
  const ByteView said(message->attestationData, message->size);
  return Attested{ToBytes(said), *signature};
}

Result<TPMS_ATTEST> Parse(ByteView message) {
  TPMS_ATTEST attest{};
  size_t at = 0;
  if (Tss2_MU_TPMS_ATTEST_Unmarshal(message.data(), message.size(), &at, &attest) !=
          TSS2_RC_SUCCESS ||
      at != message.size()) {
    return DoesNotHold("it does not parse");
  }
  return attest;
}

// Everything but the PCRs' values.
Result<TPMS_QUOTE_INFO> CheckMessage(ByteView message, ByteView nonce, const PcrSelection& pcrs) {
  KEYWARD_ASSIGN(const TPMS_ATTEST attest, Parse(message));
  if (attest.magic != TPM2_GENERATED_VALUE || attest.type != TPM2_ST_ATTEST_QUOTE) {
    return DoesNotHold("it is no quote");
  }
  if (!std::ranges::equal(ByteView(attest.extraData.buffer, attest.extraData.size), nonce)) {
    return DoesNotHold("another nonce");
  }
  const TPMS_QUOTE_INFO& quote = attest.attested.quote;
  if (FromTpmSelection(quote.pcrSelect) != pcrs || quote.pcrSelect.count != 1) {
    return DoesNotHold("other PCRs");
  }
  return quote;
}

bool Covers(const TPMS_QUOTE_INFO& quote, const PcrValues& values) {
  Bytes concatenated;
  for (const auto& [pcr, value] : values) Append(concatenated, value);
  Digest digest{};
  crypto_hash_sha256(digest.data(), concatenated.data(), concatenated.size());
  return std::ranges::equal(ByteView(quote.pcrDigest.buffer, quote.pcrDigest.size), digest);
}

// Nothing when the PCRs were extended between reading and quoting them.
Result<std::optional<Quote>> QuoteOnce(Link& link, const Primary& key, ByteView nonce,
                                       const PcrSelection& pcrs) {
  KEYWARD_ASSIGN(const TPML_PCR_SELECTION selection, ToTpmSelection(pcrs));
  KEYWARD_ASSIGN(PcrValues values, ReadPcrs(link, pcrs));
  KEYWARD_ASSIGN(Attested attested, Attest(link, key.handle.get(), nonce, selection));
  KEYWARD_ASSIGN(const TPMS_QUOTE_INFO info, CheckMessage(attested.message, nonce, pcrs));
  if (!Covers(info, values)) return std::nullopt;
  KEYWARD_ASSIGN(PublicKey signed_by, ToEcdsaKey(Algorithm::kEcdsaP256, key.area));
  KEYWARD_ASSIGN(const Bytes der, ToSignatureBytes(Algorithm::kEcdsaP256, attested.signature));
  if (!signed_by.Verify(attested.message, der)) return DoesNotHold("its signature");
  KEYWARD_ASSIGN(Bytes signature, Marshal(attested.signature));
  return Quote{std::move(attested.message), std::move(signature), std::move(values),
               std::move(signed_by)};
}

Result<Quote> QuoteOn(Link& link, ByteView nonce, const PcrSelection& pcrs) {
  link.MakeRoom();
  KEYWARD_ASSIGN(const ESYS_TR session, link.Session(EsysSession::Protect::kNothing));
  KEYWARD_ASSIGN(const Primary key, CreatePrimary(link.connection(), ESYS_TR_RH_OWNER, session,
                                                  AttestationKeyTemplate()));
  for (int i = 0; i < kMaxTries; ++i) {
    KEYWARD_ASSIGN(std::optional<Quote> quote, QuoteOnce(link, key, nonce, pcrs));
    if (quote) return std::move(*quote);
  }
  return Fail(ErrorCode::kCustodianBusy, "the PCRs change faster than they can be quoted");
}

}  // namespace

Result<Quote> TpmAttester::MakeQuote(ByteView nonce, const PcrSelection& pcrs) {
  if (nonce.empty()) return Fail(ErrorCode::kInvalidArgument, "a quote needs a nonce");
  if (nonce.size() > kMaxQuoteNonce) {
    return Fail(ErrorCode::kTooLarge, "the nonce of a quote has at most 32 bytes");
  }
  KEYWARD_TRY(MarshalPcrSelection(pcrs));
  return links_.Run([&](Link& link) { return QuoteOn(link, nonce, pcrs); });
}

Result<PcrValues> TpmAttester::ReadPcrs(const PcrSelection& pcrs) {
  KEYWARD_TRY(MarshalPcrSelection(pcrs));
  return links_.Run([&](Link& link) { return tpm::ReadPcrs(link, pcrs); });
}

}  // namespace keyward::tpm
