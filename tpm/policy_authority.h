// Who signs PCR policies, as the TPM sees it, and the session that such a policy opens.
#pragma once

#include "core/pcr_policy.h"
#include "tpm/link.h"

namespace keyward::tpm {

// Immutable.
class PolicyAuthority {
 public:
  // Errors: kInvalidArgument (no ECDSA P-256 key, or not in the form that PublicKey::FromEcPoint
  // gives it).
  static Result<PolicyAuthority> From(const PublicKey& key);

  // The authPolicy that TPM2_PolicyAuthorize for this key, with an empty policyRef, satisfies (TPM
  // 2.0 part 3, 23.16).
  const Digest& auth_policy() const { return auth_policy_; }

  // A policy session, salted as the link's own, that satisfies auth_policy() for as long as the
  // PCRs stay as they are. Errors: kPcrMismatch (they are not those of `policy`),
  // kAuthenticationFailed (its signature is not this authority's), kInvalidArgument (its
  // selection), and those of Link.
  Result<EsysSession> Authorize(Link& link, const SignedPcrPolicy& policy) const;

 private:
  PolicyAuthority(PublicKey key, const TPM2B_PUBLIC& area, const TPM2B_NAME& name);

  // The TPM's word that the authority signed `policy`.
  Result<EsysPtr<TPMT_TK_VERIFIED>> Verify(Link& link, const SignedPcrPolicy& policy) const;

  PublicKey key_;
  TPM2B_PUBLIC area_;
  TPM2B_NAME name_;
  Digest auth_policy_;
};

}  // namespace keyward::tpm
