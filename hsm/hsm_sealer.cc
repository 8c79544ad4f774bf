#include "hsm/hsm_sealer.h"

#include <algorithm>
#include <mutex>

#include "hsm/destroy.h"

namespace keyward::hsm {
namespace {

Result<KeyId> IdOf(const Session& session, CK_OBJECT_HANDLE key) {
  KEYWARD_ASSIGN(const Bytes value, session.Attribute(key, CKA_ID));
  KeyId id{};
  if (value.size() != id.size()) {
    return Fail(ErrorCode::kDataCorrupt, "the HSM token holds a wrapping key without its id");
  }
  std::ranges::copy(value, id.begin());
  return id;
}

}  // namespace

void HsmSealer::ForgetStale() {
  if (epoch_ == link_.epoch()) return;
  handles_.clear();
  sealing_key_.reset();
  epoch_ = link_.epoch();
}

Result<TokenKey> HsmSealer::KeyToSeal(const Session& session) {
  ForgetStale();
  if (sealing_key_) return *sealing_key_;
  const std::scoped_lock lock(link_.access().making_mutex());
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> found, session.Find(FindWrappingKeys()));
  std::optional<TokenKey> lowest;
  for (const CK_OBJECT_HANDLE handle : found) {
    KEYWARD_ASSIGN(const KeyId id, IdOf(session, handle));
    if (!lowest || id < lowest->id) lowest = TokenKey{id, handle};
  }
  if (!lowest) {
    KEYWARD_TRY(DestroyFound(
        session, [](const Session& token) { return token.Find(FindHalfMadeWrappingKeys()); }));
    lowest.emplace();
    rng_.Fill(lowest->id);
    KEYWARD_ASSIGN(lowest->handle,
                   session.GenerateKey(CKM_AES_KEY_GEN, NewWrappingKey(lowest->id)));
  }
  sealing_key_ = lowest;
  return *lowest;
}

Result<std::vector<CK_OBJECT_HANDLE>> HsmSealer::FindKey(const Session& session, const KeyId& id) {
  ObjectTemplate wanted = FindWrappingKeys();
  wanted.Add(CKA_ID, id);
  return session.Find(std::move(wanted));
}

Result<TokenKey> HsmSealer::KeyToUnseal(const Session& session, const KeyId& id) {
  ForgetStale();
  if (const auto known = handles_.find(id); known != handles_.end()) {
    return TokenKey{id, known->second};
  }
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> found, FindKey(session, id));
  if (found.empty()) return Fail(ErrorCode::kNotFound, "the HSM token holds no such wrapping key");
  handles_.emplace(id, found.front());
  return TokenKey{id, found.front()};
}

template <class Find, class Work>
auto HsmSealer::WithKey(Find find, Work work) {
  const auto attempt = [&](const Session& session) -> decltype(work(session, TokenKey{})) {
    KEYWARD_ASSIGN(const TokenKey key, find(session));
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
  const auto seal = [&](const Session& session, const TokenKey& key) {
    return SealWithGcm(session, key, secret, context, rng_);
  };
  return WithKey([&](const Session& session) { return KeyToSeal(session); }, seal);
}

Result<SecretBytes> HsmSealer::Unseal(ByteView blob, ByteView context) {
  KEYWARD_ASSIGN(const GcmBlob parsed, ParseGcmBlob(blob, kMaxSealedSecret));
  const auto unseal = [&](const Session& session, const TokenKey& key) {
    return OpenWithGcm(session, key.handle, parsed, context);
  };
  Result<SecretBytes> secret =
      WithKey([&](const Session& session) { return KeyToUnseal(session, parsed.key); }, unseal);
  if (!secret && secret.error().code() == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kAuthenticationFailed, "another HSM token sealed this");
  }
  return secret;
}

Result<bool> HsmSealer::HoldsKeyOf(ByteView blob) {
  KEYWARD_ASSIGN(const GcmBlob parsed, ParseGcmBlob(blob, kMaxSealedSecret));
  return link_.Run([&](const Session& session) -> Result<bool> {
    KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> found, FindKey(session, parsed.key));
    return !found.empty();
  });
}

}  // namespace keyward::hsm
