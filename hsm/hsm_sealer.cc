#include "hsm/hsm_sealer.h"

#include <array>
#include <mutex>

namespace keyward::hsm {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kNonceSize = 12;
constexpr size_t kTagSize = 16;
constexpr size_t kHeaderSize = 1 + kNonceSize;

Bytes AssociatedData(ByteView context) {
  Bytes data = {kVersion};
  Append(data, context);
  return data;
}

CK_GCM_PARAMS GcmParameters(Bytes& nonce, Bytes& associated) {
  CK_GCM_PARAMS parameters{};
  parameters.pIv = nonce.data();
  parameters.ulIvLen = nonce.size();
  parameters.ulIvBits = nonce.size() * 8;
  parameters.pAAD = associated.data();
  parameters.ulAADLen = associated.size();
  parameters.ulTagBits = kTagSize * 8;
  return parameters;
}

Result<CK_OBJECT_HANDLE> TheOne(const std::vector<CK_OBJECT_HANDLE>& keys) {
  if (keys.empty()) return Fail(ErrorCode::kNotFound, "the HSM token holds no wrapping key");
  if (keys.size() == 1) return keys.front();
  return Fail(Error(ErrorCode::kDataCorrupt,
                    "the HSM token holds two keys named keyward:wrapping: remove the one that "
                    "does not belong there")
                  .WithAction(Action::kProvision));
}

}  // namespace

Result<CK_OBJECT_HANDLE> HsmSealer::WrappingKeyOn(const Session& session, IfMissing if_missing) {
  if (key_ && key_epoch_ == link_.epoch()) return *key_;
  const std::scoped_lock lock(link_.access().wrapping_key_mutex());
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> found, session.Find(FindWrappingKey()));
  if (found.empty() && if_missing == IfMissing::kMake) {
    KEYWARD_ASSIGN(key_, session.GenerateKey(CKM_AES_KEY_GEN, WrappingKey()));
  } else {
    KEYWARD_ASSIGN(key_, TheOne(found));
  }
  key_epoch_ = link_.epoch();
  return *key_;
}

template <class Work>
auto HsmSealer::WithKey(IfMissing if_missing, Work work) {
  const auto attempt = [&](const Session& session) -> decltype(work(session, CK_OBJECT_HANDLE{})) {
    KEYWARD_ASSIGN(const CK_OBJECT_HANDLE key, WrappingKeyOn(session, if_missing));
    return work(session, key);
  };
  return link_.Run([&](const Session& session) {
    auto result = attempt(session);
    if (result || result.error().code() != ErrorCode::kNotFound) return result;
    key_.reset();
    return attempt(session);
  });
}

Result<Bytes> HsmSealer::Seal(const SecretBytes& secret, ByteView context) {
  if (secret.empty()) return Fail(ErrorCode::kInvalidArgument, "there is nothing to seal");
  if (secret.size() > kMaxSealedSecret) {
    return Fail(ErrorCode::kTooLarge, "a sealed secret has at most 96 bytes");
  }
  Bytes nonce = RandomBytes(rng_, kNonceSize);
  Bytes associated = AssociatedData(context);
  CK_GCM_PARAMS parameters = GcmParameters(nonce, associated);
  return WithKey(
      IfMissing::kMake, [&](const Session& session, CK_OBJECT_HANDLE key) -> Result<Bytes> {
        Bytes blob = {kVersion};
        Append(blob, nonce);
        blob.resize(kHeaderSize + secret.size() + kTagSize);
        const MutableBytes out = MutableBytes(blob).subspan(kHeaderSize);
        KEYWARD_ASSIGN(const size_t written,
                       session.Encrypt({CKM_AES_GCM, &parameters, sizeof(parameters)}, key,
                                       secret.RevealSecret(), out));
        if (written == out.size()) return blob;
        return Fail(ErrorCode::kNotSupported, "the HSM token's AES-GCM makes no tag of 16 bytes");
      });
}

Result<SecretBytes> HsmSealer::Unseal(ByteView blob, ByteView context) {
  if (blob.size() <= kHeaderSize + kTagSize || blob[0] != kVersion ||
      blob.size() > kHeaderSize + kMaxSealedSecret + kTagSize) {
    return Fail(ErrorCode::kMalformed, "not something that an HSM sealed");
  }
  Bytes nonce = ToBytes(blob.subspan(1, kNonceSize));
  Bytes associated = AssociatedData(context);
  CK_GCM_PARAMS parameters = GcmParameters(nonce, associated);
  const ByteView sealed = blob.subspan(kHeaderSize);
  Result<SecretBytes> secret = WithKey(
      IfMissing::kFail, [&](const Session& session, CK_OBJECT_HANDLE key) -> Result<SecretBytes> {
        // Some modules want room for the tag as well.
        KEYWARD_ASSIGN(SecretBytes buffer, SecretBytes::Create(sealed.size()));
        KEYWARD_ASSIGN(const size_t size,
                       session.Decrypt({CKM_AES_GCM, &parameters, sizeof(parameters)}, key, sealed,
                                       buffer.RevealSecretForWriting()));
        return SecretBytes::CopyOf(buffer.RevealSecret().first(size));
      });
  if (!secret && secret.error().code() == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kAuthenticationFailed, "another HSM token sealed this");
  }
  return secret;
}

}  // namespace keyward::hsm
