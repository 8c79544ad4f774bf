// The capability to prove the state of the boot to somebody else.
#pragma once

#include "core/bytes.h"
#include "core/pcr_policy.h"
#include "core/public_key.h"
#include "core/result.h"

namespace keyward {

inline constexpr size_t kMaxQuoteNonce = 32;  // bytes

// In the forms that tpm2_checkquote(1) reads.
struct Quote {
  Bytes message;        // TPMS_ATTEST (TPM 2.0 part 2, 10.12.8)
  Bytes signature;      // TPMT_SIGNATURE, ECDSA P-256 with SHA-256
  PcrValues pcrs;       // which the message's digest covers
  PublicKey signed_by;  // the attestation key: a restricted key, which signs nothing else
};

// A TPM has it, an HSM does not. One thread at a time. Errors of both: those common to all calls,
// see signer.h, and kInvalidArgument (the selection).
class Attester {
 public:
  virtual ~Attester() = default;

  // `nonce` (1..kMaxQuoteNonce bytes) is the verifier's, against replays. Errors: kTooLarge,
  // kAuthenticationFailed (the TPM's answer does not hold together).
  virtual Result<Quote> MakeQuote(ByteView nonce, const PcrSelection& pcrs) = 0;
  virtual Result<PcrValues> ReadPcrs(const PcrSelection& pcrs) = 0;
};

}  // namespace keyward
