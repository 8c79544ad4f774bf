// Signing keys in a PKCS#11 token.
#pragma once

#include <map>
#include <vector>

#include "core/signer.h"
#include "hsm/link.h"

namespace keyward::hsm {

// A KeyReference is the 16 bytes of the KeyId, which are also the CKA_ID of both halves.
//
// DestroyUnrecorded finds what bears an announced id: whole pairs, either half alone, private
// halves that cannot sign. What a token was killed over before it wrote the id is nobody's: with
// SoftHSM files of no bytes, which its module passes over, and now and then a public key without
// attributes. It holds no private half that works, so it stays rather than be guessed at.
class HsmSigner final : public Signer {
 public:
  // `link` must outlive the signer.
  HsmSigner(Link& link, std::vector<Algorithm> algorithms)
      : link_(link), algorithms_(std::move(algorithms)) {}
  // What the token has the mechanisms for.
  static Result<std::vector<Algorithm>> AlgorithmsOf(const Session& session);

  std::vector<Algorithm> SigningAlgorithms() const override { return algorithms_; }
  Result<GeneratedKey> GenerateKey(Algorithm algorithm, const KeyId& id) override;
  Result<Bytes> Sign(const KeyReference& reference, ByteView message) override;
  Result<void> DestroyKey(const KeyReference& reference) override;
  Result<void> DestroyUnrecorded(std::span<const KeyId> announced) override;
  // Inventory::HoldsKey.
  Result<bool> Holds(const KeyReference& reference);

 private:
  struct PrivateKey {
    CK_OBJECT_HANDLE handle;
    Algorithm algorithm;
  };
  // From the cache, because finding is linear in the number of keys on the token.
  Result<PrivateKey> Lookup(const Session& session, const KeyId& id);
  Result<Bytes> SignOn(const Session& session, const KeyId& id, ByteView message);
  Result<void> Destroy(const KeyId& id);

  Link& link_;
  std::vector<Algorithm> algorithms_;
  std::map<KeyId, PrivateKey> cache_;
  uint64_t cache_epoch_ = 0;
};

}  // namespace keyward::hsm
