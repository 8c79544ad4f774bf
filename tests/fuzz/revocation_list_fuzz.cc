// A revocation list whose last line is anything, and one that is signed and is anything.
#include <sodium.h>

#include <array>
#include <cstdlib>

#include "core/revocation_list.h"
#include "tests/fuzz/require.h"

namespace {

struct Pair {
  std::array<uint8_t, crypto_sign_PUBLICKEYBYTES> public_half{};
  std::array<uint8_t, crypto_sign_SECRETKEYBYTES> secret_half{};
  Pair() {
    const std::array<uint8_t, crypto_sign_SEEDBYTES> seed{1};
    if (crypto_sign_seed_keypair(public_half.data(), secret_half.data(), seed.data()) != 0) abort();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using keyward::fuzz::Require;
  static const Pair pair;
  static const auto signer = keyward::PublicKey::FromEd25519(pair.public_half).value();
  const std::string text(keyward::AsText({data, size}));
  Require(!keyward::ReadRevocationList(text, signer));
  std::array<uint8_t, crypto_sign_BYTES> signature{};
  Require(crypto_sign_detached(signature.data(), nullptr, data, size, pair.secret_half.data()) ==
          0);
  const auto list =
      keyward::ReadRevocationList(keyward::WithSignature(text, signature, signer), signer);
  if (list) Require(keyward::Compose(*list) == text);
  return 0;
}
