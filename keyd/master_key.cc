#include "keyd/master_key.h"

#include <sodium.h>

namespace keyward {
namespace {

constexpr const char* kContext = "KeywardM";
constexpr size_t kSubkeySize = 32;
static_assert(kMasterKeySize == crypto_kdf_KEYBYTES);

}  // namespace

Result<MasterKey> MasterKey::Make(Rng& rng) {
  KEYWARD_ASSIGN(SecretBytes bytes, SecretBytes::Random(kMasterKeySize, rng));
  return MasterKey(std::move(bytes));
}

Result<MasterKey> MasterKey::FromBytes(SecretBytes bytes) {
  if (bytes.size() != kMasterKeySize) {
    return Fail(ErrorCode::kDataCorrupt, "what was sealed is no master key");
  }
  return MasterKey(std::move(bytes));
}

Result<SecretBytes> MasterKey::Derive(Subkey subkey) const {
  KEYWARD_ASSIGN(SecretBytes derived, SecretBytes::Create(kSubkeySize));
  if (crypto_kdf_derive_from_key(derived.RevealSecretForWriting().data(), derived.size(),
                                 static_cast<uint64_t>(subkey), kContext,
                                 bytes_.RevealSecret().data()) != 0) {
    return Fail(ErrorCode::kInternal, "deriving a subkey failed");
  }
  return derived;
}

}  // namespace keyward
