#include "tpm/tpm_sealer.h"

#include "tpm/sensitive.h"
#include "tpm/templates.h"

namespace keyward::tpm {

Result<Bytes> SealObject(Link& link, const SecretBytes& secret, std::string_view label,
                         ByteView context) {
  if (secret.empty()) return Fail(ErrorCode::kInvalidArgument, "there is nothing to seal");
  if (secret.size() > kMaxSealedSecret) {
    return Fail(ErrorCode::kTooLarge, "a sealed secret has at most 96 bytes");
  }
  const Digest auth = HashParts({AsBytes(label), context});
  const Wiped<TPM2B_SENSITIVE_CREATE> sensitive = Sensitive(auth, secret.RevealSecret());
  KEYWARD_ASSIGN(const WrappedObject object, link.Create(*sensitive, SealedTemplate()));
  return EncodeSealedBlob(object);
}

Result<SecretBytes> UnsealObject(Link& link, ByteView blob, std::string_view label,
                                 ByteView context) {
  const Digest key = HashParts({AsBytes(label), context, blob});
  std::optional<ESYS_TR> object = link.FindLoaded(key);
  if (!object) {
    KEYWARD_ASSIGN(const WrappedObject wrapped, DecodeSealedBlob(blob));
    KEYWARD_ASSIGN(object, link.Load(key, wrapped, HashParts({AsBytes(label), context})));
  }
  Result<SecretBytes> secret = link.Unseal(*object);
  if (!secret && secret.error().code() == ErrorCode::kAuthenticationFailed) {
    link.Unload(key);
    return Fail(Error(ErrorCode::kAuthenticationFailed, "the blob was sealed for something else")
                    .WithCause(secret.error().cause()));
  }
  return secret;
}

Result<Bytes> TpmSealer::Seal(const SecretBytes& secret, ByteView context) {
  return links_.Run([&](Link& link) { return SealObject(link, secret, kSealerLabel, context); });
}

Result<SecretBytes> TpmSealer::Unseal(ByteView blob, ByteView context) {
  return links_.Run([&](Link& link) { return UnsealObject(link, blob, kSealerLabel, context); });
}

}  // namespace keyward::tpm
