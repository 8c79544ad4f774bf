#include "keyd/derived_key.h"

#include <utility>

#include "core/blake2b.h"
#include "core/encoding.h"
#include "keyd/ed25519_seed.h"

namespace keyward {
namespace {

constexpr std::string_view kLabel = "keyward transport key 1";

}  // namespace

Result<SecretBytes> DeriveSeed(const SecretBytes& transport_key, std::string_view key,
                               uint32_t version, ByteView salt) {
  if (salt.size() != kDerivationSalt) {
    return Fail(ErrorCode::kDataCorrupt, "the derived key is not the one that was recorded");
  }
  const Bytes purpose =
      Writer().Raw(AsBytes(kLabel)).Field<uint8_t>(AsBytes(key)).Integer(version).Raw(salt).Take();
  return Blake2bMac(transport_key).Add(purpose).EndSecret();
}

Result<GeneratedKey> GenerateDerivedKey(const SecretBytes& transport_key, std::string_view key,
                                        uint32_t version, Rng& rng) {
  Bytes salt = RandomBytes(rng, kDerivationSalt);
  KEYWARD_ASSIGN(const SecretBytes seed, DeriveSeed(transport_key, key, version, salt));
  KEYWARD_ASSIGN(Ed25519Pair pair, PairOfSeed(seed));
  return GeneratedKey{std::move(salt), std::move(pair.public_key)};
}

}  // namespace keyward
