#include "keyd/second_seal/recovery_seal.h"

#include <span>

#include "keyd/backup/envelope.h"

namespace keyward {
namespace {

Result<SecretBytes> ReadMaster(ByteView der, const backup::RecoveryKey& key) {
  KEYWARD_ASSIGN(backup::OpenEnvelope envelope, backup::OpenEnvelope::Open(der, key));
  KEYWARD_ASSIGN(SecretBytes bytes, SecretBytes::Create(kMasterKeySize));
  KEYWARD_TRY(envelope.Read(bytes.RevealSecretForWriting()));
  KEYWARD_TRY(envelope.End());
  return bytes;
}

// In words of the second seal, where the envelope's are those of a backup.
Error AboutSecondSeal(const Error& error) {
  if (error.code() == ErrorCode::kAuthenticationFailed) {
    return {ErrorCode::kAuthenticationFailed,
            "the recovery key is not the one that the second seal was made for, or the seal was "
            "altered: see its certificate's fingerprint with keyctl master show"};
  }
  return Error(ErrorCode::kDataCorrupt,
               "the second seal was altered or is damaged: put back the file master-key.second")
      .WithCause(error.message() + ": " + error.cause());
}

}  // namespace

Result<Bytes> SealForRecovery(const backup::RecoveryCertificate& certificate,
                              const MasterKey& master) {
  KEYWARD_ASSIGN(backup::NewEnvelope envelope,
                 backup::NewEnvelope::Create(std::span(&certificate, 1)));
  KEYWARD_TRY(envelope.Write(master.bytes().RevealSecret()));
  return envelope.Finish();
}

Result<MasterKey> OpenWithRecoveryKey(ByteView der, const backup::RecoveryKey& key) {
  Result<SecretBytes> bytes = ReadMaster(der, key);
  if (!bytes) return Fail(AboutSecondSeal(bytes.error()));
  return MasterKey::FromBytes(std::move(*bytes));
}

}  // namespace keyward
