#include "tpm/tpm_master_sealer.h"

#include <algorithm>

#include "tpm/master_record.h"
#include "tpm/nv_making.h"
#include "tpm/policy_authority.h"

namespace keyward::tpm {
namespace {

constexpr size_t kWriteAuthSize = 32;
constexpr TPMA_NV kFinished = TPMA_NV_WRITTEN | TPMA_NV_WRITELOCKED;

TPMS_NV_PUBLIC AreaOf(const KeyId& id, const Digest& auth_policy) {
  TPMS_NV_PUBLIC area{};
  area.nvIndex = NvHandleOf(id, NvUse::kMaster);
  area.nameAlg = TPM2_ALG_SHA256;
  area.attributes = TPMA_NV_POLICYREAD | TPMA_NV_AUTHWRITE | TPMA_NV_WRITEALL |
                    TPMA_NV_WRITEDEFINE | TPMA_NV_NO_DA;
  area.authPolicy.size = static_cast<uint16_t>(auth_policy.size());
  std::ranges::copy(auth_policy, area.authPolicy.buffer);
  area.dataSize = kMasterKeySize;
  return area;
}

// Of an index that is written and locked.
Result<Bytes> FinishedName(const KeyId& id, const PolicyAuthority& authority) {
  TPMS_NV_PUBLIC area = AreaOf(id, authority.auth_policy());
  area.attributes |= kFinished;
  return NameOf(area);
}

// For any authority.
bool IsMasterIndex(const KeyId& id, const TPMS_NV_PUBLIC& area) {
  Digest auth_policy{};
  if (area.authPolicy.size != auth_policy.size()) return false;
  std::copy_n(area.authPolicy.buffer, auth_policy.size(), auth_policy.begin());
  return IsMadeFrom(area, AreaOf(id, auth_policy));
}

Result<void> WriteOnce(NvIndex& index, const SecretBytes& master) {
  KEYWARD_TRY(index.Write(master.RevealSecret()));
  return index.LockForGood();
}

// The index that `record` is of.
Result<NvIndex> Open(Link& link, const KeyId& id, const MasterRecord& record,
                     const PolicyAuthority& authority) {
  KEYWARD_ASSIGN(std::optional<NvIndex> index, NvIndex::Find(link, NvHandleOf(id, NvUse::kMaster)));
  if (!index) {
    return Fail(ErrorCode::kNotFound,
                "the TPM does not hold this master key: it was destroyed, or is in another TPM");
  }
  KEYWARD_ASSIGN(const Bytes expected, FinishedName(id, authority));
  const Result<Bytes> name = NameOf(index->area());
  if (!name || *name != expected || *name != record.index_name) {
    return Fail(ErrorCode::kAuthenticationFailed,
                "the record of the master key and what the TPM holds do not belong together");
  }
  return std::move(*index);
}

Result<SecretBytes> ReadUnder(Link& link, NvIndex& index, const PolicyAuthority& authority,
                              const SignedPcrPolicy& policy) {
  KEYWARD_ASSIGN(const EsysSession session, authority.Authorize(link, policy));
  return index.ReadSecret(session);
}

// Whether another policy may do what this one did not.
bool IsAboutThePolicy(const Error& error) {
  return error.code() == ErrorCode::kPcrMismatch ||
         error.code() == ErrorCode::kAuthenticationFailed ||
         error.code() == ErrorCode::kInvalidArgument;
}

Result<SecretBytes> TryAll(Link& link, NvIndex& index, const PolicyAuthority& authority,
                           std::span<const SignedPcrPolicy> policies) {
  std::string cause;
  for (const SignedPcrPolicy& policy : policies) {
    Result<SecretBytes> master = ReadUnder(link, index, authority, policy);
    if (master || !IsAboutThePolicy(master.error())) return master;
    cause += master.error().message() + ": " + master.error().cause() + "; ";
  }
  return Fail(Error(ErrorCode::kPcrMismatch,
                    "the TPM's PCRs are in no state that a signed policy allows; if that state is "
                    "good, have it signed with keyctl policy pcr sign")
                  .WithCause(cause.empty() ? "there is no policy" : cause));
}

}  // namespace

Result<Bytes> TpmMasterSealer::SealMaster(const KeyId& id, const SecretBytes& master,
                                          const std::optional<PublicKey>& authority) {
  if (master.size() != kMasterKeySize) {
    return Fail(ErrorCode::kInvalidArgument, "a master key has 32 bytes");
  }
  if (!authority) {
    return Fail(ErrorCode::kInvalidArgument,
                "a TPM needs an authority that signs the states of the boot in which it opens the "
                "master key");
  }
  KEYWARD_ASSIGN(const PolicyAuthority who, PolicyAuthority::From(*authority));
  KEYWARD_ASSIGN(const SecretBytes write_auth, SecretBytes::Random(kWriteAuthSize, rng_));
  KEYWARD_ASSIGN(const Bytes name, FinishedName(id, who));
  bool begun = false;
  KEYWARD_TRY(links_.Run([&](Link& link) {
    return MakeIndex(link, AreaOf(id, who.auth_policy()), write_auth.RevealSecret(), begun,
                     [&](NvIndex& index) { return WriteOnce(index, master); });
  }));
  return EncodeMasterRecord(id, name, *authority, master);
}

Result<SecretBytes> TpmMasterSealer::UnsealMaster(const KeyId& id, ByteView record,
                                                  std::span<const SignedPcrPolicy> policies) {
  KEYWARD_ASSIGN(const MasterRecord parsed, DecodeMasterRecord(record));
  const Result<PolicyAuthority> authority = PolicyAuthority::From(parsed.authority);
  if (!authority) return Fail(ErrorCode::kMalformed, "the record names no authority");
  KEYWARD_ASSIGN(SecretBytes master, links_.Run([&](Link& link) -> Result<SecretBytes> {
    KEYWARD_ASSIGN(NvIndex index, Open(link, id, parsed, *authority));
    return TryAll(link, index, *authority, policies);
  }));
  KEYWARD_TRY(CheckMasterRecord(id, record, master));
  return master;
}

Result<void> TpmMasterSealer::DestroyMaster(const KeyId& id) {
  return links_.Run([&](Link& link) -> Result<void> {
    KEYWARD_ASSIGN(std::optional<NvIndex> index,
                   NvIndex::Find(link, NvHandleOf(id, NvUse::kMaster)));
    if (!index || !IsMasterIndex(id, index->area())) return {};
    return index->Undefine();
  });
}

}  // namespace keyward::tpm
