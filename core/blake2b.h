// BLAKE2b-256 (RFC 7693), from libsodium.
#pragma once

#include <sodium.h>

#include <array>

#include "core/bytes.h"
#include "core/result.h"
#include "core/secret_bytes.h"

namespace keyward {

using Hash256 = std::array<uint8_t, 32>;

Hash256 Blake2b(ByteView data);

// With a key, piece by piece. Its state, which is as good as the key, is wiped at the end. One
// thread at a time.
class Blake2bMac {
 public:
  // `key`: 32 bytes.
  explicit Blake2bMac(const SecretBytes& key);
  ~Blake2bMac() { sodium_memzero(&state_, sizeof(state_)); }
  Blake2bMac(const Blake2bMac&) = delete;
  Blake2bMac& operator=(const Blake2bMac&) = delete;

  Blake2bMac& Add(ByteView bytes);
  // Nothing may be added any more. Errors: kInternal (another size of key, or libsodium).
  Result<Hash256> End();
  // The same for a hash that is a secret itself. Errors also: kResourceExhausted.
  Result<SecretBytes> EndSecret();

 private:
  crypto_generichash_state state_{};
  bool works_;
};

// In constant time.
inline bool EqualHashes(ByteView one, ByteView other) {
  return one.size() == other.size() && sodium_memcmp(one.data(), other.data(), one.size()) == 0;
}

}  // namespace keyward
