#include "tpm/policy_authority.h"

#include <sodium.h>

#include <algorithm>
#include <span>

#include "core/encoding.h"
#include "tpm/pcr_bank.h"
#include "tpm/sensitive.h"
#include "tpm/signature.h"
#include "tpm/templates.h"

namespace keyward::tpm {
namespace {

Digest Sha256(ByteView bytes) {
  Digest digest{};
  crypto_hash_sha256(digest.data(), bytes.data(), bytes.size());
  return digest;
}

// PolicyUpdate() of part 3, 23.2.3, on a fresh digest: the name first, then the empty policyRef.
Digest PolicyAuthorizeDigest(ByteView name) {
  constexpr uint32_t kCommand = TPM2_CC_PolicyAuthorize;
  const Digest fresh{};
  return Sha256(Sha256(Writer().Raw(fresh).Integer(kCommand).Raw(name).Take()));
}

std::unexpected<Error> OtherPcrs(std::string cause) {
  return Fail(Error(ErrorCode::kPcrMismatch, "the PCRs are not those of the policy")
                  .WithCause(std::move(cause)));
}

Result<void> ExtendWithPcrs(Connection& connection, ESYS_TR session, const PcrSelection& pcrs) {
  KEYWARD_ASSIGN(const TPML_PCR_SELECTION selection, ToTpmSelection(pcrs));
  const TPM2B_DIGEST whatever_they_are{};
  return connection
      .Run("TPM2_PolicyPCR",
           [&] {
             return Esys_PolicyPCR(connection.get(), session, ESYS_TR_NONE, ESYS_TR_NONE,
                                   ESYS_TR_NONE, &whatever_they_are, &selection);
           })
      .Check();
}

Result<void> ExpectDigest(Connection& connection, ESYS_TR session, ByteView expected) {
  EsysPtr<TPM2B_DIGEST> digest;
  const Outcome outcome = connection.Run("TPM2_PolicyGetDigest", [&] {
    return Esys_PolicyGetDigest(connection.get(), session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                EsysOut(digest));
  });
  KEYWARD_TRY(outcome.Check());
  const ByteView now(digest->buffer, digest->size);
  if (!std::ranges::equal(now, expected)) return OtherPcrs("policy digest of now " + ToHex(now));
  return {};
}

Error NotSigned(const Outcome& outcome) {
  return outcome.As(ErrorCode::kAuthenticationFailed,
                    "the TPM refuses the signature of the PCR policy");
}

}  // namespace

PolicyAuthority::PolicyAuthority(PublicKey key, const TPM2B_PUBLIC& area, const TPM2B_NAME& name)
    : key_(std::move(key)),
      area_(area),
      name_(name),
      auth_policy_(PolicyAuthorizeDigest({name.name, name.size})) {}

Result<PolicyAuthority> PolicyAuthority::From(const PublicKey& key) {
  KEYWARD_ASSIGN(const TPM2B_PUBLIC area, VerificationKeyArea(key));
  KEYWARD_ASSIGN(const Bytes name, NameOf(area.publicArea));
  TPM2B_NAME tpm_name{};
  tpm_name.size = static_cast<uint16_t>(name.size());
  std::ranges::copy(name, tpm_name.name);
  return PolicyAuthority(key, area, tpm_name);
}

Result<EsysPtr<TPMT_TK_VERIFIED>> PolicyAuthority::Verify(Link& link,
                                                          const SignedPcrPolicy& policy) const {
  KEYWARD_ASSIGN(const TPMT_SIGNATURE signature, ToTpmSignature(policy.signature));
  ESYS_CONTEXT* esys = link.connection().get();
  ESYS_TR loaded = ESYS_TR_NONE;
  link.MakeRoom();
  const Outcome load = link.connection().Run("TPM2_LoadExternal", [&] {
    return Esys_LoadExternal(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, &area_,
                             ESYS_TR_RH_OWNER, &loaded);
  });
  KEYWARD_TRY(load.Check());
  const EsysHandle key(esys, loaded, EsysHandle::Ending::kFlush);
  TPM2B_DIGEST digest{};
  Assign(digest, Sha256(policy.digest));
  EsysPtr<TPMT_TK_VERIFIED> ticket;
  const Outcome verified = link.connection().Run("TPM2_VerifySignature", [&] {
    return Esys_VerifySignature(esys, key.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest,
                                &signature, EsysOut(ticket));
  });
  if (verified.fault() == Fault::kRejected) return Fail(NotSigned(verified));
  KEYWARD_TRY(verified.Check());
  return ticket;
}

Result<EsysSession> PolicyAuthority::Authorize(Link& link, const SignedPcrPolicy& policy) const {
  KEYWARD_TRY(VerifyPcrPolicy(policy, key_));  // a word with it costs less than one with the TPM
  Connection& connection = link.connection();
  KEYWARD_ASSIGN(EsysSession session, EsysSession::StartPolicy(connection, link.salt_key()));
  KEYWARD_TRY(ExtendWithPcrs(connection, session.get(), policy.pcrs));
  KEYWARD_TRY(ExpectDigest(connection, session.get(), policy.digest));
  KEYWARD_ASSIGN(const EsysPtr<TPMT_TK_VERIFIED> ticket, Verify(link, policy));
  TPM2B_DIGEST approved{};
  Assign(approved, policy.digest);
  const TPM2B_NONCE no_policy_ref{};
  const Outcome outcome = connection.Run("TPM2_PolicyAuthorize", [&] {
    return Esys_PolicyAuthorize(connection.get(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE,
                                ESYS_TR_NONE, &approved, &no_policy_ref, &name_, ticket.get());
  });
  if (outcome.fault() == Fault::kRejected) return Fail(NotSigned(outcome));
  KEYWARD_TRY(outcome.Check());
  return session;
}

}  // namespace keyward::tpm
