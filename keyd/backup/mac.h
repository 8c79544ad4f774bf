// Keyed BLAKE2b-256, piece by piece.
#pragma once

#include <sodium.h>

#include <array>

#include "core/bytes.h"
#include "core/secret_bytes.h"

namespace keyward::backup {

using Mac = std::array<uint8_t, 32>;

// Its state, which the key is in, is wiped at the end. One thread at a time.
class RunningMac {
 public:
  // `key`: 32 bytes.
  explicit RunningMac(const SecretBytes& key) {
    crypto_generichash_init(&state_, key.RevealSecret().data(), key.size(), Mac{}.size());
  }
  ~RunningMac() { sodium_memzero(&state_, sizeof(state_)); }
  RunningMac(const RunningMac&) = delete;
  RunningMac& operator=(const RunningMac&) = delete;

  RunningMac& Add(ByteView bytes) {
    crypto_generichash_update(&state_, bytes.data(), bytes.size());
    return *this;
  }
  // Nothing may be added any more.
  Mac End() {
    Mac mac{};
    crypto_generichash_final(&state_, mac.data(), mac.size());
    return mac;
  }

 private:
  crypto_generichash_state state_{};
};

// In constant time.
inline bool Equal(ByteView one, ByteView other) {
  return one.size() == other.size() && sodium_memcmp(one.data(), other.data(), one.size()) == 0;
}

}  // namespace keyward::backup
