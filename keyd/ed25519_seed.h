// The pair of a sealed or derived Ed25519 key, from its seed.
#pragma once

#include "core/public_key.h"
#include "core/secret_bytes.h"

namespace keyward {

struct Ed25519Pair {
  SecretBytes secret;  // libsodium's form: seed and public half, 64 bytes
  PublicKey public_key;
};

// Errors: kDataCorrupt (not 32 bytes), kResourceExhausted, kInternal.
Result<Ed25519Pair> PairOfSeed(const SecretBytes& seed);

}  // namespace keyward
