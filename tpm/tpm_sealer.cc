#include "tpm/tpm_sealer.h"

#include "tpm/sensitive.h"
#include "tpm/templates.h"

namespace keyward::tpm {
namespace {

Digest AuthFor(std::string_view label, ByteView context) {
  return HashParts({AsBytes(label), context});
}

Digest CacheKey(ByteView blob, std::string_view label, ByteView context) {
  return HashParts({AsBytes(label), context, blob});
}

}  // namespace

Result<Bytes> SealObject(Link& link, const SecretBytes& secret, std::string_view label,
                         ByteView context) {
  if (secret.empty()) return Fail(ErrorCode::kInvalidArgument, "there is nothing to seal");
  if (secret.size() > kMaxSealedSecret) {
    return Fail(ErrorCode::kTooLarge, "a sealed secret has at most 96 bytes");
  }
  const Digest auth = AuthFor(label, context);
  const Wiped<TPM2B_SENSITIVE_CREATE> sensitive = Sensitive(auth, secret.RevealSecret());
  KEYWARD_ASSIGN(const WrappedObject object, link.Create(*sensitive, SealedTemplate()));
  KEYWARD_ASSIGN(Bytes blob, EncodeSealedBlob(object));
  // Proves that the blob can be used, has it at hand for the first Unseal, and overwrites the copy
  // of the secret that ESAPI holds since Create.
  KEYWARD_TRY(link.Load(CacheKey(blob, label, context), object, auth));
  return blob;
}

Result<SecretBytes> UnsealObject(Link& link, ByteView blob, std::string_view label,
                                 ByteView context) {
  const Digest key = CacheKey(blob, label, context);
  std::optional<ESYS_TR> object = link.FindLoaded(key);
  if (!object) {
    KEYWARD_ASSIGN(const WrappedObject wrapped, DecodeSealedBlob(blob));
    KEYWARD_ASSIGN(object, link.Load(key, wrapped, AuthFor(label, context)));
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
