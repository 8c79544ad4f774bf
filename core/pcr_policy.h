// A state of the boot, as a TPM's PCRs measure it, and an authority's signature that allows it.
//
// The signature is what TPM2_PolicyAuthorize takes with an empty policyRef (TPM 2.0 part 3, 23.16):
// ECDSA P-256 over SHA-256 of the policy digest. The digest is that of one TPM2_PolicyPCR (23.7)
// over the SHA-256 bank.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>

#include "core/bytes.h"
#include "core/public_key.h"
#include "core/result.h"

namespace keyward {

inline constexpr uint32_t kPcrCount = 24;  // indices 0..23

using PcrSelection = std::set<uint32_t>;  // indices; never empty
using PcrValue = std::array<uint8_t, 32>;
using PcrValues = std::map<uint32_t, PcrValue>;
using PcrPolicyDigest = std::array<uint8_t, 32>;

struct SignedPcrPolicy {
  PcrSelection pcrs;
  PcrPolicyDigest digest;
  Bytes signature;  // DER Ecdsa-Sig-Value
};

// The bytes of TPML_PCR_SELECTION for `pcrs` in the SHA-256 bank. Errors: kInvalidArgument (empty,
// or an index over 23).
Result<Bytes> MarshalPcrSelection(const PcrSelection& pcrs);

// Bit n stands for PCR n.
uint32_t ToBits(const PcrSelection& pcrs);
// Errors: kInvalidArgument (none, or one over 23).
Result<PcrSelection> PcrsFromBits(uint32_t bits);

// What PolicyPCR makes of a fresh session while the PCRs have `values`. Errors: kInvalidArgument.
Result<PcrPolicyDigest> DigestOfPcrPolicy(const PcrValues& values);

// Whether `values` has `pcrs` in the state that `digest`, of a PolicyPCR over them, stands for.
// Nothing when it lacks one of them.
std::optional<bool> IsInState(const PcrValues& values, const PcrSelection& pcrs, ByteView digest);

// Errors: kAuthenticationFailed; kNotSupported (an authority that is no P-256 key).
Result<void> VerifyPcrPolicy(const SignedPcrPolicy& policy, const PublicKey& authority);

}  // namespace keyward
