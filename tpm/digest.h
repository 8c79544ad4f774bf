// SHA-256 as a key of caches and as an authorization value.
#pragma once

#include <sodium.h>

#include <array>
#include <initializer_list>

#include "core/bytes.h"

namespace keyward::tpm {

using Digest = std::array<uint8_t, crypto_hash_sha256_BYTES>;

// SHA-256 of `parts`, each after its length in eight bytes, so that no two lists hash alike.
inline Digest HashParts(std::initializer_list<ByteView> parts) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  for (const ByteView part : parts) {
    std::array<uint8_t, sizeof(uint64_t)> size{};
    for (size_t i = 0; i < size.size(); ++i) {
      size[i] = static_cast<uint8_t>(uint64_t{part.size()} >> (8 * (size.size() - 1 - i)));
    }
    crypto_hash_sha256_update(&state, size.data(), size.size());
    crypto_hash_sha256_update(&state, part.data(), part.size());
  }
  Digest digest;
  crypto_hash_sha256_final(&state, digest.data());
  return digest;
}

}  // namespace keyward::tpm
