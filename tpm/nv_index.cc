#include "tpm/nv_index.h"

#include <tss2/tss2_mu.h>

#include <algorithm>
#include <array>
#include <span>

#include "core/encoding.h"
#include "tpm/digest.h"
#include "tpm/sensitive.h"
#include "tpm/wipe.h"

namespace keyward::tpm {
namespace {

using Protect = EsysSession::Protect;

constexpr TPM2_HANDLE kOwnerRange = 0x01800000;
constexpr TPM2_HANDLE kIdBits = 0x003fffff;
constexpr TPM2_HANDLE kMasterBit = 0x00200000;
constexpr TPMA_NV kNotedByTheTpm = TPMA_NV_WRITTEN | TPMA_NV_WRITELOCKED;

// TPM2_NV_ReadPublic of no index would answer as one that lost its objects does.
Result<bool> Exists(Link& link, TPM2_HANDLE handle) {
  KEYWARD_ASSIGN(const EsysPtr<TPMS_CAPABILITY_DATA> data,
                 GetCapability(link.connection(), TPM2_CAP_HANDLES, handle, 1));
  const TPML_HANDLE& list = data->data.handles;
  return list.count > 0 && list.handle[0] == handle;
}

Result<EsysHandle> Open(Connection& connection, TPM2_HANDLE handle) {
  ESYS_TR index = ESYS_TR_NONE;
  const Outcome outcome = connection.Run("Esys_TR_FromTPMPublic", [&] {
    return Esys_TR_FromTPMPublic(connection.get(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                 &index);
  });
  KEYWARD_TRY(outcome.Check());
  return EsysHandle(connection.get(), index, EsysHandle::Ending::kClose);
}

// The session's HMAC covers the name that ESAPI has learnt without one, and the answer.
Result<TPMS_NV_PUBLIC> ReadPublic(Link& link, ESYS_TR index) {
  EsysPtr<TPM2B_NV_PUBLIC> area;
  KEYWARD_ASSIGN(const ESYS_TR session, link.Session(Protect::kResponse));
  const Outcome outcome = link.connection().RunInSession("TPM2_NV_ReadPublic", [&] {
    return Esys_NV_ReadPublic(link.connection().get(), index, session, ESYS_TR_NONE, ESYS_TR_NONE,
                              EsysOut(area), nullptr);
  });
  KEYWARD_TRY(outcome.Check());
  return area->nvPublic;
}

}  // namespace

TPM2_HANDLE NvHandleOf(const KeyId& id, NvUse use) {
  const Digest digest = HashParts({AsBytes("keyward.tpm.nv-index.1"), id});
  const TPM2_HANDLE number = TPM2_HANDLE{digest[0]} << 16 | TPM2_HANDLE{digest[1]} << 8 | digest[2];
  const TPM2_HANDLE counter = kOwnerRange | (number & kIdBits);
  return use == NvUse::kCounter ? counter : counter ^ kMasterBit;
}

bool IsMadeFrom(const TPMS_NV_PUBLIC& area, const TPMS_NV_PUBLIC& wanted) {
  const auto policy = [](const TPMS_NV_PUBLIC& of) {
    return std::span(of.authPolicy.buffer, of.authPolicy.size);
  };
  return area.nvIndex == wanted.nvIndex && area.nameAlg == wanted.nameAlg &&
         (area.attributes & ~kNotedByTheTpm) == (wanted.attributes & ~kNotedByTheTpm) &&
         std::ranges::equal(policy(area), policy(wanted)) && area.dataSize == wanted.dataSize;
}

Result<Bytes> NameOf(const TPMS_NV_PUBLIC& area) {
  std::array<uint8_t, sizeof(TPMS_NV_PUBLIC)> marshalled{};
  size_t size = 0;
  if (area.nameAlg != TPM2_ALG_SHA256 ||
      Tss2_MU_TPMS_NV_PUBLIC_Marshal(&area, marshalled.data(), marshalled.size(), &size) !=
          TSS2_RC_SUCCESS) {
    return Fail(ErrorCode::kMalformed, "not a public area of an NV index");
  }
  Digest digest{};
  crypto_hash_sha256(digest.data(), marshalled.data(), size);
  return Writer().Integer<uint16_t>(area.nameAlg).Raw(digest).Take();
}

Result<std::optional<NvIndex>> NvIndex::Find(Link& link, TPM2_HANDLE handle) {
  KEYWARD_ASSIGN(const bool exists, Exists(link, handle));
  if (!exists) return std::nullopt;
  KEYWARD_ASSIGN(EsysHandle index, Open(link.connection(), handle));
  KEYWARD_ASSIGN(const TPMS_NV_PUBLIC area, ReadPublic(link, index.get()));
  return NvIndex(link, std::move(index), area);
}

Result<NvIndex> NvIndex::Define(Link& link, const TPMS_NV_PUBLIC& wanted, ByteView auth) {
  const Wiped<TPM2B_AUTH> value = AuthValue(auth);
  TPM2B_NV_PUBLIC area{};
  area.nvPublic = wanted;
  ESYS_TR index = ESYS_TR_NONE;
  KEYWARD_ASSIGN(const ESYS_TR session, link.Session(Protect::kRequest));
  const Outcome outcome = link.connection().RunInSession("TPM2_NV_DefineSpace", [&] {
    return Esys_NV_DefineSpace(link.connection().get(), ESYS_TR_RH_OWNER, session, ESYS_TR_NONE,
                               ESYS_TR_NONE, &*value, &area, &index);
  });
  WipeEsapiStack();
  KEYWARD_TRY(outcome.Check());
  return NvIndex(link, EsysHandle(link.connection().get(), index, EsysHandle::Ending::kClose),
                 wanted);
}

Result<void> NvIndex::UseAuth(ByteView auth) {
  const Wiped<TPM2B_AUTH> value = AuthValue(auth);
  return Outcome(Esys_TR_SetAuth(link_->connection().get(), handle_.get(), &*value),
                 "Esys_TR_SetAuth")
      .Check();
}

Result<void> NvIndex::Increment() {
  KEYWARD_ASSIGN(const ESYS_TR session, link_->Session(Protect::kNothing));
  KEYWARD_TRY(link_->connection()
                  .Run("TPM2_NV_Increment",
                       [&] {
                         return Esys_NV_Increment(link_->connection().get(), handle_.get(),
                                                  handle_.get(), session, ESYS_TR_NONE,
                                                  ESYS_TR_NONE);
                       })
                  .Check());
  area_.attributes |= TPMA_NV_WRITTEN;
  return {};
}

Result<void> NvIndex::Write(ByteView data) {
  const Wiped<TPM2B_MAX_NV_BUFFER> buffer(
      [data](TPM2B_MAX_NV_BUFFER& value) { Assign(value, data); });
  constexpr uint16_t kFromStart = 0;
  KEYWARD_ASSIGN(const ESYS_TR session, link_->Session(Protect::kRequest));
  const Outcome outcome = link_->connection().Run("TPM2_NV_Write", [&] {
    return Esys_NV_Write(link_->connection().get(), handle_.get(), handle_.get(), session,
                         ESYS_TR_NONE, ESYS_TR_NONE, &*buffer, kFromStart);
  });
  WipeEsapiStack();
  KEYWARD_TRY(outcome.Check());
  area_.attributes |= TPMA_NV_WRITTEN;
  return {};
}

Result<void> NvIndex::LockForGood() {
  KEYWARD_ASSIGN(const ESYS_TR session, link_->Session(Protect::kNothing));
  KEYWARD_TRY(link_->connection()
                  .Run("TPM2_NV_WriteLock",
                       [&] {
                         return Esys_NV_WriteLock(link_->connection().get(), handle_.get(),
                                                  handle_.get(), session, ESYS_TR_NONE,
                                                  ESYS_TR_NONE);
                       })
                  .Check());
  area_.attributes |= TPMA_NV_WRITELOCKED;
  return {};
}

Outcome NvIndex::ReadInto(EsysPtr<TPM2B_MAX_NV_BUFFER>& data, ESYS_TR authorization,
                          ESYS_TR encryption) {
  constexpr uint16_t kFromStart = 0;
  return link_->connection().Run("TPM2_NV_Read", [&] {
    return Esys_NV_Read(link_->connection().get(), handle_.get(), handle_.get(), authorization,
                        encryption, ESYS_TR_NONE, area_.dataSize, kFromStart, EsysOut(data));
  });
}

Result<void> NvIndex::CheckWhole(size_t size) const {
  if (size == area_.dataSize) return {};
  return Fail(ErrorCode::kAuthenticationFailed, "the TPM gave less than the NV index holds");
}

Result<EsysPtr<TPM2B_MAX_NV_BUFFER>> NvIndex::Read() {
  KEYWARD_ASSIGN(const ESYS_TR session, link_->Session(Protect::kNothing));
  EsysPtr<TPM2B_MAX_NV_BUFFER> data;
  KEYWARD_TRY(ReadInto(data, session, ESYS_TR_NONE).Check());
  KEYWARD_TRY(CheckWhole(data->size));
  return data;
}

// The session that encrypts is another than the one that authorises, because the TPM would mix the
// index's authorization value into the key of the latter, also for a policy that does not ask for
// it (part 1, 21.3), and nobody knows the one of a secret's index.
Result<SecretBytes> NvIndex::ReadSecret(const EsysSession& policy) {
  KEYWARD_ASSIGN(const ESYS_TR session, link_->Session(Protect::kResponse));
  EsysPtr<TPM2B_MAX_NV_BUFFER> data;
  const Outcome outcome = ReadInto(data, policy.get(), session);
  // Whatever came is wiped before anything is made of it.
  const Result<void> wiped = WipeResponse(link_->connection().get());
  KEYWARD_TRY(outcome.Check());
  Result<SecretBytes> secret = SecretBytes::TakeFrom({data->buffer, data->size});
  KEYWARD_TRY(wiped);
  if (secret) KEYWARD_TRY(CheckWhole(secret->size()));
  return secret;
}

Result<void> NvIndex::Undefine() {
  KEYWARD_ASSIGN(const ESYS_TR session, link_->Session(Protect::kNothing));
  const Outcome outcome = link_->connection().RunInSession("TPM2_NV_UndefineSpace", [&] {
    return Esys_NV_UndefineSpace(link_->connection().get(), ESYS_TR_RH_OWNER, handle_.get(),
                                 session, ESYS_TR_NONE, ESYS_TR_NONE);
  });
  KEYWARD_TRY(outcome.Check());
  handle_.Forget();
  return {};
}

}  // namespace keyward::tpm
