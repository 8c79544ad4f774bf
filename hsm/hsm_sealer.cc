#include "hsm/hsm_sealer.h"

#include <algorithm>
#include <mutex>

#include "core/encoding.h"

namespace keyward::hsm {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kNonceSize = 12;
constexpr size_t kTagSize = 16;
constexpr size_t kHeaderSize = 1 + sizeof(KeyId) + kNonceSize;

Bytes AssociatedData(const KeyId& key, ByteView context) {
  return Writer().Integer(kVersion).Raw(key).Raw(context).Take();
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

Result<KeyId> IdOf(const Session& session, CK_OBJECT_HANDLE key) {
  KEYWARD_ASSIGN(const Bytes value, session.Attribute(key, CKA_ID));
  KeyId id{};
  if (value.size() != id.size()) {
    return Fail(ErrorCode::kDataCorrupt, "the HSM token holds a wrapping key without its id");
  }
  std::ranges::copy(value, id.begin());
  return id;
}

struct Blob {
  KeyId key;
  Bytes nonce;
  ByteView sealed;
};

Result<Blob> Parse(ByteView blob) {
  if (blob.size() <= kHeaderSize + kTagSize || blob[0] != kVersion ||
      blob.size() > kHeaderSize + kMaxSealedSecret + kTagSize) {
    return Fail(ErrorCode::kMalformed, "not something that an HSM sealed");
  }
  Blob parsed{};
  std::ranges::copy(blob.subspan(1, parsed.key.size()), parsed.key.begin());
  parsed.nonce = ToBytes(blob.subspan(1 + parsed.key.size(), kNonceSize));
  parsed.sealed = blob.subspan(kHeaderSize);
  return parsed;
}

}  // namespace

void HsmSealer::ForgetStale() {
  if (epoch_ == link_.epoch()) return;
  handles_.clear();
  sealing_key_.reset();
  epoch_ = link_.epoch();
}

Result<HsmSealer::WrappingKey> HsmSealer::KeyToSeal(const Session& session) {
  ForgetStale();
  if (sealing_key_) return *sealing_key_;
  const std::scoped_lock lock(link_.access().wrapping_key_mutex());
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> found, session.Find(FindWrappingKeys()));
  std::optional<WrappingKey> lowest;
  for (const CK_OBJECT_HANDLE handle : found) {
    KEYWARD_ASSIGN(const KeyId id, IdOf(session, handle));
    if (!lowest || id < lowest->id) lowest = WrappingKey{id, handle};
  }
  if (!lowest) {
    lowest.emplace();
    rng_.Fill(lowest->id);
    KEYWARD_ASSIGN(lowest->handle,
                   session.GenerateKey(CKM_AES_KEY_GEN, NewWrappingKey(lowest->id)));
  }
  sealing_key_ = lowest;
  return *lowest;
}

Result<HsmSealer::WrappingKey> HsmSealer::KeyToUnseal(const Session& session, const KeyId& id) {
  ForgetStale();
  if (const auto known = handles_.find(id); known != handles_.end()) {
    return WrappingKey{id, known->second};
  }
  ObjectTemplate wanted = FindWrappingKeys();
  wanted.Add(CKA_ID, id);
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> found, session.Find(std::move(wanted)));
  if (found.empty()) return Fail(ErrorCode::kNotFound, "the HSM token holds no such wrapping key");
  handles_.emplace(id, found.front());
  return WrappingKey{id, found.front()};
}

template <class Find, class Work>
auto HsmSealer::WithKey(Find find, Work work) {
  const auto attempt = [&](const Session& session) -> decltype(work(session, WrappingKey{})) {
    KEYWARD_ASSIGN(const WrappingKey key, find(session));
    return work(session, key);
  };
  return link_.Run([&](const Session& session) {
    auto result = attempt(session);
    if (result || result.error().code() != ErrorCode::kNotFound) return result;
    handles_.clear();
    sealing_key_.reset();
    return attempt(session);
  });
}

Result<Bytes> HsmSealer::Seal(const SecretBytes& secret, ByteView context) {
  if (secret.empty()) return Fail(ErrorCode::kInvalidArgument, "there is nothing to seal");
  if (secret.size() > kMaxSealedSecret) {
    return Fail(ErrorCode::kTooLarge, "a sealed secret has at most 96 bytes");
  }
  Bytes nonce = RandomBytes(rng_, kNonceSize);
  const auto seal = [&](const Session& session, const WrappingKey& key) -> Result<Bytes> {
    Bytes associated = AssociatedData(key.id, context);
    CK_GCM_PARAMS parameters = GcmParameters(nonce, associated);
    Bytes blob = Writer().Integer(kVersion).Raw(key.id).Raw(nonce).Take();
    blob.resize(kHeaderSize + secret.size() + kTagSize);
    const MutableBytes out = MutableBytes(blob).subspan(kHeaderSize);
    KEYWARD_ASSIGN(const size_t written,
                   session.Encrypt({CKM_AES_GCM, &parameters, sizeof(parameters)}, key.handle,
                                   secret.RevealSecret(), out));
    if (written == out.size()) return blob;
    return Fail(ErrorCode::kNotSupported, "the HSM token's AES-GCM makes no tag of 16 bytes");
  };
  return WithKey([&](const Session& session) { return KeyToSeal(session); }, seal);
}

Result<SecretBytes> HsmSealer::Unseal(ByteView blob, ByteView context) {
  KEYWARD_ASSIGN(Blob parsed, Parse(blob));
  Bytes associated = AssociatedData(parsed.key, context);
  CK_GCM_PARAMS parameters = GcmParameters(parsed.nonce, associated);
  const auto unseal = [&](const Session& session, const WrappingKey& key) -> Result<SecretBytes> {
    // Some modules want room for the tag as well.
    KEYWARD_ASSIGN(SecretBytes buffer, SecretBytes::Create(parsed.sealed.size()));
    KEYWARD_ASSIGN(const size_t size,
                   session.Decrypt({CKM_AES_GCM, &parameters, sizeof(parameters)}, key.handle,
                                   parsed.sealed, buffer.RevealSecretForWriting()));
    return SecretBytes::CopyOf(buffer.RevealSecret().first(size));
  };
  Result<SecretBytes> secret =
      WithKey([&](const Session& session) { return KeyToUnseal(session, parsed.key); }, unseal);
  if (!secret && secret.error().code() == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kAuthenticationFailed, "another HSM token sealed this");
  }
  return secret;
}

}  // namespace keyward::hsm
