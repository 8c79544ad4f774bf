#include "core/secret_bytes.h"

#include <sodium.h>

#include <algorithm>

#include "core/secret_memory.h"

namespace keyward {

Result<SecretBytes> SecretBytes::Create(size_t size) {
  KEYWARD_ASSIGN(const MutableBytes slot, AllocateSecret(size));
  return SecretBytes(slot);
}

Result<SecretBytes> SecretBytes::Random(size_t size, Rng& rng) {
  KEYWARD_ASSIGN(SecretBytes secret, Create(size));
  rng.Fill(secret.slot_);
  return secret;
}

Result<SecretBytes> SecretBytes::CopyOf(ByteView source) {
  KEYWARD_ASSIGN(SecretBytes secret, Create(source.size()));
  std::ranges::copy(source, secret.slot_.begin());
  return secret;
}

Result<SecretBytes> SecretBytes::TakeFrom(MutableBytes source) {
  Result<SecretBytes> secret = CopyOf(source);
  sodium_memzero(source.data(), source.size());
  return secret;
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    Wipe();
    slot_ = std::exchange(other.slot_, {});
  }
  return *this;
}

void SecretBytes::Wipe() noexcept {
  if (!slot_.empty()) FreeSecret(std::exchange(slot_, {}));
}

bool SecretBytes::Equals(ByteView other) const {
  return slot_.size() == other.size() &&
         sodium_memcmp(slot_.data(), other.data(), other.size()) == 0;
}

}  // namespace keyward
