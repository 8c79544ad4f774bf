#include "tpm/tpm_signer.h"

#include "core/encoding.h"
#include "tpm/sensitive.h"
#include "tpm/signature.h"
#include "tpm/templates.h"
#include "tpm/tpm_sealer.h"

namespace keyward::tpm {
namespace {

constexpr size_t kAuthSize = 32;  // what the name algorithm allows at most

// What the authorization value of a key is sealed for.
Result<Bytes> AuthContext(const KeyId& id, const TPMT_PUBLIC& key) {
  KEYWARD_ASSIGN(const Bytes name, NameOf(key));
  return Writer().Raw(id).Raw(name).Take();
}

Error Damaged(const Error& error) {
  return Error(ErrorCode::kDataCorrupt,
               "the key cannot be used: its record is damaged, or of another TPM")
      .WithCause(error.message() + "; " + error.cause());
}

bool IsAboutTheRecord(const Error& error) {
  return error.code() == ErrorCode::kMalformed || error.code() == ErrorCode::kAuthenticationFailed;
}

// A blob that does not hold is, as part of a reference, stored state that does not.
template <class T>
Result<T> AsStoredState(Result<T> result) {
  if (!result && IsAboutTheRecord(result.error())) return Fail(Damaged(result.error()));
  return result;
}

}  // namespace

Result<GeneratedKey> TpmSigner::GenerateKey(Algorithm algorithm, const KeyId& id) {
  return links_.Run([&](Link& link) { return GenerateOn(link, algorithm, id); });
}

Result<GeneratedKey> TpmSigner::GenerateOn(Link& link, Algorithm algorithm, const KeyId& id) {
  KEYWARD_ASSIGN(const TPM2B_PUBLIC wanted, SigningTemplate(algorithm));
  KEYWARD_ASSIGN(const SecretBytes auth, SecretBytes::Random(kAuthSize, rng_));
  KeyRecord record{};
  record.id = id;
  KEYWARD_ASSIGN(record.key, link.Create(*Sensitive(auth.RevealSecret(), {}), wanted));
  KEYWARD_ASSIGN(const Bytes context, AuthContext(id, record.key.public_area.publicArea));
  KEYWARD_ASSIGN(record.auth_blob, SealObject(link, auth, kKeyAuthLabel, context));
  KEYWARD_ASSIGN(PublicKey public_key, ToPublicKey(record.key.public_area.publicArea));
  KEYWARD_ASSIGN(KeyReference reference, EncodeKeyReference(record));

  // Through the finished reference, so that it is proved along with the key.
  const ByteView probe = AsBytes("keyward probe of a new key");
  KEYWARD_ASSIGN(const Bytes signature, SignOn(link, reference, probe));
  if (const Result<void> proof = public_key.Verify(probe, signature); !proof) {
    return Fail(Error(ErrorCode::kNotSupported,
                      "this TPM's signatures of that algorithm do not verify; choose another one")
                    .WithCause(proof.error().message()));
  }
  return GeneratedKey{std::move(reference), std::move(public_key)};
}

Result<Bytes> TpmSigner::Sign(const KeyReference& reference, ByteView message) {
  return links_.Run([&](Link& link) { return SignOn(link, reference, message); });
}

Result<Bytes> TpmSigner::SignOn(Link& link, const KeyReference& reference, ByteView message) {
  KEYWARD_ASSIGN(const KeyRecord record, AsStoredState(DecodeKeyReference(reference)));
  KEYWARD_ASSIGN(const Algorithm algorithm, SigningAlgorithmOf(record.key.public_area.publicArea));
  KEYWARD_ASSIGN(const Bytes digest, DigestForSigning(algorithm, message));
  const Digest cache_key = HashParts({reference});
  std::optional<ESYS_TR> key = link.FindLoaded(cache_key);
  if (!key) {
    KEYWARD_ASSIGN(key, AsStoredState(LoadKey(link, cache_key, record)));
  }
  KEYWARD_ASSIGN(const EsysPtr<TPMT_SIGNATURE> signature, AsStoredState(link.Sign(*key, digest)));
  return ToSignatureBytes(algorithm, *signature);
}

Result<ESYS_TR> TpmSigner::LoadKey(Link& link, const Digest& cache_key, const KeyRecord& record) {
  const SecretBytes* auth = auths_.Find(cache_key);
  if (auth == nullptr) {
    KEYWARD_ASSIGN(const Bytes context, AuthContext(record.id, record.key.public_area.publicArea));
    KEYWARD_ASSIGN(SecretBytes value, UnsealObject(link, record.auth_blob, kKeyAuthLabel, context));
    auth = &auths_.Put(cache_key, std::move(value));
  }
  return link.Load(cache_key, record.key, auth->RevealSecret());
}

Result<void> TpmSigner::DestroyKey(const KeyReference& reference) {
  KEYWARD_TRY(AsStoredState(DecodeKeyReference(reference)));
  const Digest cache_key = HashParts({reference});
  auths_.Erase(cache_key);
  links_.Unload(cache_key);
  return {};
}

Result<void> TpmSigner::DestroyUnrecorded(std::span<const KeyId> /*announced*/) { return {}; }

}  // namespace keyward::tpm
