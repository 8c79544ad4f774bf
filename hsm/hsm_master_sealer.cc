#include "hsm/hsm_master_sealer.h"

#include <mutex>

#include "hsm/destroy.h"
#include "hsm/gcm_blob.h"

namespace keyward::hsm {
namespace {

const ByteView kContext = AsBytes("keyward master record");

Result<CK_OBJECT_HANDLE> KeyOf(const Session& session, const KeyId& id) {
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> found, session.Find(FindMasterKey(id)));
  if (found.empty()) {
    return Fail(ErrorCode::kNotFound,
                "the HSM token does not hold the key of this master record: it was destroyed, or "
                "the token is another one");
  }
  if (found.size() > 1) {
    return Fail(ErrorCode::kDataCorrupt, "the HSM token holds two keys under one name");
  }
  return found.front();
}

Result<SecretBytes> Open(const Session& session, CK_OBJECT_HANDLE key, const GcmBlob& record) {
  KEYWARD_ASSIGN(SecretBytes master, OpenWithGcm(session, key, record, kContext));
  if (master.size() == kMasterKeySize) return master;
  return Fail(ErrorCode::kAuthenticationFailed, "the master record holds no master key");
}

// A key that was made and cannot be found was not kept.
Error NotMade(const Error& error, const std::string& more) {
  if (error.code() != ErrorCode::kNotFound) return Error(error).WithCause(error.cause() + more);
  return Error(ErrorCode::kCustodianUnavailable, "the HSM token did not keep the key that it made")
      .WithCause(error.cause() + more);
}

}  // namespace

Result<Bytes> HsmMasterSealer::MakeRecord(const Session& session, const KeyId& id,
                                          const SecretBytes& master) {
  KEYWARD_ASSIGN(const CK_OBJECT_HANDLE key,
                 session.GenerateKey(CKM_AES_KEY_GEN, NewMasterKey(id)));
  KEYWARD_ASSIGN(Bytes record, SealWithGcm(session, {id, key}, master, kContext, rng_));
  KEYWARD_ASSIGN(const GcmBlob parsed, ParseGcmBlob(record, kMasterKeySize));
  KEYWARD_ASSIGN(const CK_OBJECT_HANDLE found, KeyOf(session, id));
  KEYWARD_ASSIGN(const SecretBytes opened, Open(session, found, parsed));
  if (opened.Equals(master.RevealSecret())) return record;
  return Fail(ErrorCode::kCustodianUnavailable, "the HSM token made a key that does not work");
}

Result<Bytes> HsmMasterSealer::SealMaster(const KeyId& id, const SecretBytes& master,
                                          const std::optional<PublicKey>& authority) {
  if (authority) {
    return Fail(ErrorCode::kInvalidArgument,
                "an HSM knows no PCRs: seal the master key without an authority");
  }
  if (master.size() != kMasterKeySize) {
    return Fail(ErrorCode::kInvalidArgument, "a master key has 32 bytes");
  }
  const std::scoped_lock lock(link_.access().making_mutex());
  KEYWARD_ASSIGN(
      const std::vector<CK_OBJECT_HANDLE> existing,
      link_.Run([&](const Session& session) { return session.Find(FindMasterKeyWholeOrNot(id)); }));
  if (!existing.empty()) return Fail(ErrorCode::kAlreadyExists, "the master seal exists already");
  Result<Bytes> record =
      link_.RunOnce([&](const Session& session) { return MakeRecord(session, id, master); });
  if (record) return record;
  const Result<void> swept = DestroyMaster(id);
  return Fail(NotMade(record.error(), swept ? "" : "; then " + swept.error().cause()));
}

Result<SecretBytes> HsmMasterSealer::UnsealMaster(const KeyId& id, ByteView record,
                                                  std::span<const SignedPcrPolicy> /*policies*/) {
  KEYWARD_ASSIGN(const GcmBlob parsed, ParseGcmBlob(record, kMasterKeySize));
  if (parsed.key != id) {
    return Fail(ErrorCode::kAuthenticationFailed, "the master record is of another name");
  }
  return link_.Run([&](const Session& session) -> Result<SecretBytes> {
    KEYWARD_ASSIGN(const CK_OBJECT_HANDLE key, KeyOf(session, id));
    return Open(session, key, parsed);
  });
}

Result<void> HsmMasterSealer::DestroyMaster(const KeyId& id) {
  const auto find = [&](const Session& session) {
    return session.Find(FindMasterKeyWholeOrNot(id));
  };
  return link_.Run([&](const Session& session) { return DestroyFound(session, find); });
}

}  // namespace keyward::hsm
