// Sealing under an AES-256 key that never leaves the token.
#pragma once

#include <optional>

#include "core/rng.h"
#include "core/sealer.h"
#include "hsm/link.h"

namespace keyward::hsm {

// The key is labelled "keyward:wrapping" and made by the first Seal. A blob is
// version (1 byte, 01) | nonce (12, random) | AES-256-GCM ciphertext | tag (16)
// with version | context as associated data.
class HsmSealer final : public Sealer {
 public:
  // `link` must outlive the sealer.
  explicit HsmSealer(Link& link) : link_(link) {}

  Result<Bytes> Seal(const SecretBytes& secret, ByteView context) override;
  Result<SecretBytes> Unseal(ByteView blob, ByteView context) override;

 private:
  enum class IfMissing { kMake, kFail };
  Result<CK_OBJECT_HANDLE> WrappingKeyOn(const Session& session, IfMissing if_missing);
  // Runs `work(session, key)`, a second time with a fresh lookup if the key's handle went stale.
  template <class Work>
  auto WithKey(IfMissing if_missing, Work work);

  Link& link_;
  SystemRng rng_;
  std::optional<CK_OBJECT_HANDLE> key_;
  uint64_t key_epoch_ = 0;
};

}  // namespace keyward::hsm
