// Signing keys that a TPM made and alone can use.
#pragma once

#include "core/rng.h"
#include "core/signer.h"
#include "tpm/link_keeper.h"

namespace keyward::tpm {

// A key lives in its reference, wrapped by the TPM (tpm/blob.h); the chip stores nothing. So there
// are as many keys as one likes, and nothing that a crash could leave behind. Two layers protect
// one:
//
// - The private half can be unwrapped by this TPM alone, under the storage primary.
// - Each use takes an authorization value of 32 random bytes, proved by HMAC and never sent. It is
//   in the reference, sealed by the same TPM for exactly this key (its id and its name). Without
//   that value a loaded key is of no use to other clients of the TPM, nor to someone who can send
//   commands on its bus; and as the value is sealed to the name, parts of two references cannot be
//   mixed.
//
// Whoever has both the reference and this very TPM can use the key, here as with any wrapped key;
// what keeps references from others is the state store.
class TpmSigner final : public Signer {
 public:
  TpmSigner(LinkKeeper& links, Rng& rng) : links_(links), rng_(rng) {}

  std::vector<Algorithm> SigningAlgorithms() const override { return links_.facts().algorithms; }
  Result<GeneratedKey> GenerateKey(Algorithm algorithm, const KeyId& id) override;
  Result<Bytes> Sign(const KeyReference& reference, ByteView message) override;
  // Unloads it. There is nothing in the chip to erase: the key is gone when the last copy of the
  // reference is. Errors: kDataCorrupt.
  Result<void> DestroyKey(const KeyReference& reference) override;
  // A key that was never recorded was never anywhere.
  Result<void> DestroyUnrecorded(std::span<const KeyId> announced) override;

 private:
  static constexpr size_t kMaxAuths = 64;

  Result<GeneratedKey> GenerateOn(Link& link, Algorithm algorithm, const KeyId& id);
  Result<Bytes> SignOn(Link& link, const KeyReference& reference, ByteView message);
  Result<ESYS_TR> LoadKey(Link& link, const Digest& cache_key, const KeyRecord& record);

  LinkKeeper& links_;
  Rng& rng_;
  LruCache<SecretBytes> auths_{kMaxAuths};  // so that a key out of its slot is one load away
};

}  // namespace keyward::tpm
