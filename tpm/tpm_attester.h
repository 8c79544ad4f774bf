// Quotes of a TPM.
#pragma once

#include "core/attester.h"
#include "tpm/link_keeper.h"

namespace keyward::tpm {

// The attestation key is a primary of the owner hierarchy, made anew for each quote from a template
// of ours: the same key for as long as the TPM is not cleared. It is restricted, so the TPM signs
// nothing with it but what it says itself. Its public half comes in the session that is salted to
// the pinned primary; a verifier pins it when the installation is set up.
//
// Writes no NV.
class TpmAttester final : public Attester {
 public:
  explicit TpmAttester(LinkKeeper& links) : links_(links) {}

  // What the TPM says is checked as a verifier would. Errors: kNotSupported (no SHA-256 bank),
  // kCustodianBusy (the PCRs change faster than they can be quoted).
  Result<Quote> MakeQuote(ByteView nonce, const PcrSelection& pcrs) override;
  // As many as there are; in answers that only the pinned TPM can give. Errors: as above.
  Result<PcrValues> ReadPcrs(const PcrSelection& pcrs) override;

 private:
  LinkKeeper& links_;
};

}  // namespace keyward::tpm
