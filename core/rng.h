// Randomness comes in through this interface; only main() makes the system's.
#pragma once

#include "core/bytes.h"

namespace keyward {

// Any thread may call. Never fails: a system without randomness is fatal.
class Rng {
 public:
  virtual ~Rng() = default;
  virtual void Fill(MutableBytes out) = 0;
};

// libsodium's randombytes_buf, which reads getrandom(2).
class SystemRng final : public Rng {
 public:
  void Fill(MutableBytes out) override;
};

// `size` random bytes that are no secret: nonces, challenges, identifiers.
Bytes RandomBytes(Rng& rng, size_t size);

}  // namespace keyward
