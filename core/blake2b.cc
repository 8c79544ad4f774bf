#include "core/blake2b.h"

#include <exception>

namespace keyward {
namespace {

constexpr size_t kKeySize = 32;
constexpr size_t kStack = 4096;  // bytes; more than libsodium's hash takes

}  // namespace

Hash256 Blake2b(ByteView data) {
  Hash256 hash{};
  // Fails only for sizes that these are not.
  if (crypto_generichash(hash.data(), hash.size(), data.data(), data.size(), nullptr, 0) != 0) {
    std::terminate();
  }
  return hash;
}

Blake2bMac::Blake2bMac(const SecretBytes& key)
    // Of no key at all libsodium would make a hash that everybody can make.
    : works_(key.size() == kKeySize && crypto_generichash_init(&state_, key.RevealSecret().data(),
                                                               kKeySize, Hash256{}.size()) == 0) {}

Blake2bMac& Blake2bMac::Add(ByteView bytes) {
  works_ = works_ && crypto_generichash_update(&state_, bytes.data(), bytes.size()) == 0;
  return *this;
}

Result<Hash256> Blake2bMac::End() {
  Hash256 mac{};
  if (!works_ || crypto_generichash_final(&state_, mac.data(), mac.size()) != 0) {
    return Fail(ErrorCode::kInternal, "making a MAC failed");
  }
  return mac;
}

Result<SecretBytes> Blake2bMac::EndSecret() {
  KEYWARD_ASSIGN(SecretBytes hash, SecretBytes::Create(Hash256{}.size()));
  const MutableBytes out = hash.RevealSecretForWriting();
  works_ = works_ && crypto_generichash_final(&state_, out.data(), out.size()) == 0;
  sodium_stackzero(kStack);  // where libsodium has put the hash together
  if (!works_) return Fail(ErrorCode::kInternal, "deriving a secret failed");
  return hash;
}

}  // namespace keyward
