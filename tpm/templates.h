// The public areas of every object that we make, and the check that an object is one of them.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "core/algorithm.h"
#include "core/bytes.h"
#include "core/public_key.h"
#include "core/result.h"

namespace keyward::tpm {

// The ECC P-256 storage root key of TCG's "TPM v2.0 Provisioning Guidance", 7.5.1: the same
// template gives the same key on the same TPM until its owner clears it.
TPM2B_PUBLIC StoragePrimaryTemplate();

// The ECC P-256 endorsement key of TCG's "EK Credential Profile for TPM Family 2.0", B.3.4
// (template L-2): the same on the same TPM for its whole life.
TPM2B_PUBLIC EndorsementKeyTemplate();

// A signing key that the TPM makes itself and that cannot leave it or its parent. noDA: a wrong
// authorization value is refused, but never counted towards lockout. Errors: kNotSupported
// (Ed25519).
Result<TPM2B_PUBLIC> SigningTemplate(Algorithm algorithm);

// A restricted signing key, ECDSA P-256 with SHA-256: it signs only what the TPM itself says. noDA.
TPM2B_PUBLIC AttestationKeyTemplate();

// The public area of a key that TPM2_LoadExternal takes to verify signatures with, ECDSA with
// SHA-256. Errors: kInvalidArgument (no P-256 key, or not with its point uncompressed).
Result<TPM2B_PUBLIC> VerificationKeyArea(const PublicKey& key);

// A sealed object, opened by its authorization value alone. noDA.
TPM2B_PUBLIC SealedTemplate();

// True when `object` is what the TPM makes of `expected`: equal in all but `unique`.
bool IsMadeFrom(const TPMT_PUBLIC& object, const TPM2B_PUBLIC& expected);

// The algorithm of a signing key. Errors: kMalformed (not made from one of our templates).
Result<Algorithm> SigningAlgorithmOf(const TPMT_PUBLIC& object);

// The key whose point `object` has. Errors of both: kMalformed.
Result<PublicKey> ToEcdsaKey(Algorithm algorithm, const TPMT_PUBLIC& object);
// Of a signing key.
Result<PublicKey> ToPublicKey(const TPMT_PUBLIC& object);

// The TPM's marshalled form. Errors: kMalformed (also bytes left over).
Result<Bytes> Marshal(const TPMT_PUBLIC& object);
Result<TPMT_PUBLIC> UnmarshalPublic(ByteView bytes);

// nameAlg || H(marshalled public area), TPM 2.0 part 1, 16 "Names"; SHA-256 only. Errors:
// kMalformed.
Result<Bytes> NameOf(const TPMT_PUBLIC& object);

}  // namespace keyward::tpm
