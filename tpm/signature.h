// Signatures in the TPM's form and in everybody else's.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "core/algorithm.h"
#include "core/bytes.h"
#include "core/result.h"

namespace keyward::tpm {

// In the form of PublicKey::Verify. Errors: kMalformed.
Result<Bytes> ToSignatureBytes(Algorithm algorithm, const TPMT_SIGNATURE& signature);

// `der` is the Ecdsa-Sig-Value of a P-256 key with SHA-256. Errors: kMalformed.
Result<TPMT_SIGNATURE> ToTpmSignature(ByteView der);

// The TPM's marshalled form. Errors: kMalformed.
Result<Bytes> Marshal(const TPMT_SIGNATURE& signature);

}  // namespace keyward::tpm
