#include "keyd/ed25519_seed.h"

#include <sodium.h>

#include <array>

namespace keyward {

Result<Ed25519Pair> PairOfSeed(const SecretBytes& seed) {
  if (seed.size() != crypto_sign_SEEDBYTES) {
    return Fail(ErrorCode::kDataCorrupt, "the key's seed is not the one that was recorded");
  }
  KEYWARD_ASSIGN(SecretBytes secret, SecretBytes::Create(crypto_sign_SECRETKEYBYTES));
  std::array<uint8_t, crypto_sign_PUBLICKEYBYTES> public_half{};
  if (crypto_sign_seed_keypair(public_half.data(), secret.RevealSecretForWriting().data(),
                               seed.RevealSecret().data()) != 0) {
    return Fail(ErrorCode::kInternal, "making an Ed25519 pair failed");
  }
  KEYWARD_ASSIGN(PublicKey public_key, PublicKey::FromEd25519(public_half));
  return Ed25519Pair{std::move(secret), std::move(public_key)};
}

}  // namespace keyward
