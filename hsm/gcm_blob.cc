#include "hsm/gcm_blob.h"

#include <algorithm>

#include "core/encoding.h"

namespace keyward::hsm {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kNonceSize = 12;
constexpr size_t kTagSize = 16;
constexpr size_t kHeaderSize = 1 + sizeof(KeyId) + kNonceSize;

// The parameters of one operation, with what they point to.
class GcmMechanism {
 public:
  GcmMechanism(const KeyId& key, ByteView nonce, ByteView context)
      : nonce_(ToBytes(nonce)),
        associated_(Writer().Integer(kVersion).Raw(key).Raw(context).Take()) {
    parameters_.pIv = nonce_.data();
    parameters_.ulIvLen = nonce_.size();
    parameters_.ulIvBits = nonce_.size() * 8;
    parameters_.pAAD = associated_.data();
    parameters_.ulAADLen = associated_.size();
    parameters_.ulTagBits = kTagSize * 8;
  }
  GcmMechanism(const GcmMechanism&) = delete;
  GcmMechanism& operator=(const GcmMechanism&) = delete;

  CK_MECHANISM get() { return {CKM_AES_GCM, &parameters_, sizeof(parameters_)}; }

 private:
  Bytes nonce_;
  Bytes associated_;
  CK_GCM_PARAMS parameters_{};
};

}  // namespace

Result<GcmBlob> ParseGcmBlob(ByteView blob, size_t max_secret) {
  if (blob.size() <= kHeaderSize + kTagSize || blob[0] != kVersion ||
      blob.size() > kHeaderSize + max_secret + kTagSize) {
    return Fail(ErrorCode::kMalformed, "not something that an HSM sealed");
  }
  GcmBlob parsed{};
  std::ranges::copy(blob.subspan(1, parsed.key.size()), parsed.key.begin());
  parsed.nonce = blob.subspan(1 + parsed.key.size(), kNonceSize);
  parsed.sealed = blob.subspan(kHeaderSize);
  return parsed;
}

Result<Bytes> SealWithGcm(const Session& session, const TokenKey& key, const SecretBytes& secret,
                          ByteView context, Rng& rng) {
  const Bytes nonce = RandomBytes(rng, kNonceSize);
  GcmMechanism mechanism(key.id, nonce, context);
  Bytes blob = Writer().Integer(kVersion).Raw(key.id).Raw(nonce).Take();
  blob.resize(kHeaderSize + secret.size() + kTagSize);
  const MutableBytes out = MutableBytes(blob).subspan(kHeaderSize);
  KEYWARD_ASSIGN(const size_t written,
                 session.Encrypt(mechanism.get(), key.handle, secret.RevealSecret(), out));
  if (written == out.size()) return blob;
  return Fail(ErrorCode::kNotSupported, "the HSM token's AES-GCM makes no tag of 16 bytes");
}

Result<SecretBytes> OpenWithGcm(const Session& session, CK_OBJECT_HANDLE key, const GcmBlob& blob,
                                ByteView context) {
  GcmMechanism mechanism(blob.key, blob.nonce, context);
  // Some modules want room for the tag as well.
  KEYWARD_ASSIGN(SecretBytes buffer, SecretBytes::Create(blob.sealed.size()));
  KEYWARD_ASSIGN(const size_t size, session.Decrypt(mechanism.get(), key, blob.sealed,
                                                    buffer.RevealSecretForWriting()));
  return SecretBytes::CopyOf(buffer.RevealSecret().first(size));
}

}  // namespace keyward::hsm
