#include "keyd/reference_wrapping.h"

#include <sodium.h>

#include "core/encoding.h"

namespace keyward {
namespace {

constexpr size_t kNonceSize = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTagSize = crypto_aead_xchacha20poly1305_ietf_ABYTES;

Bytes AssociatedData(std::string_view key, const KeyId& id) {
  return Writer().Raw(AsBytes("keyward reference 1")).Raw(id).Raw(AsBytes(key)).Take();
}

}  // namespace

Result<Bytes> WrapReference(ByteView reference, std::string_view key, const KeyId& id,
                            const SecretBytes& wrapping_key, Rng& rng) {
  const Bytes bound = AssociatedData(key, id);
  Bytes wrapped = RandomBytes(rng, kNonceSize);
  wrapped.resize(kNonceSize + reference.size() + kTagSize);
  if (crypto_aead_xchacha20poly1305_ietf_encrypt(
          wrapped.data() + kNonceSize, nullptr, reference.data(), reference.size(), bound.data(),
          bound.size(), nullptr, wrapped.data(), wrapping_key.RevealSecret().data()) != 0) {
    return Fail(ErrorCode::kInternal, "wrapping a key's reference failed");
  }
  return wrapped;
}

Result<Bytes> UnwrapReference(ByteView wrapped, std::string_view key, const KeyId& id,
                              const SecretBytes& wrapping_key) {
  const Bytes bound = AssociatedData(key, id);
  Bytes reference(wrapped.size() - std::min(wrapped.size(), kNonceSize + kTagSize));
  if (reference.empty() || crypto_aead_xchacha20poly1305_ietf_decrypt(
                               reference.data(), nullptr, nullptr, wrapped.data() + kNonceSize,
                               wrapped.size() - kNonceSize, bound.data(), bound.size(),
                               wrapped.data(), wrapping_key.RevealSecret().data()) != 0) {
    return Fail(ErrorCode::kDataCorrupt, "a key's reference is not the one that was stored");
  }
  return reference;
}

}  // namespace keyward
