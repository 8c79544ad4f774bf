// Sealing under an AES-256 key that never leaves the token.
#pragma once

#include <map>
#include <optional>

#include "core/rng.h"
#include "core/sealer.h"
#include "hsm/gcm_blob.h"
#include "hsm/link.h"

namespace keyward::hsm {

// The first Seal makes the key, labelled "keyward:wrapping" and with a random CKA_ID. A blob is a
// GcmBlob (gcm_blob.h) in the caller's context.
//
// As a blob names its key, it does no harm when processes that share a token each make one: PKCS#11
// has no way to make an object unless it exists. All then seal under the one of lowest CKA_ID.
class HsmSealer final : public Sealer {
 public:
  // Both must outlive the sealer.
  HsmSealer(Link& link, Rng& rng) : link_(link), rng_(rng) {}

  Result<Bytes> Seal(const SecretBytes& secret, ByteView context) override;
  Result<SecretBytes> Unseal(ByteView blob, ByteView context) override;
  // Inventory::HoldsKeyOf.
  Result<bool> HoldsKeyOf(ByteView blob);

 private:
  // Forgets every handle, unless the session that it was found on is still there.
  void ForgetStale();
  static Result<std::vector<CK_OBJECT_HANDLE>> FindKey(const Session& session, const KeyId& id);
  Result<TokenKey> KeyToSeal(const Session& session);
  Result<TokenKey> KeyToUnseal(const Session& session, const KeyId& id);
  // Runs `work(session, key)` on what `find(session)` finds, a second time with a fresh lookup if
  // the key's handle went stale.
  template <class Find, class Work>
  auto WithKey(Find find, Work work);

  Link& link_;
  Rng& rng_;
  // Good for one epoch of the link.
  std::map<KeyId, CK_OBJECT_HANDLE> handles_;
  std::optional<TokenKey> sealing_key_;
  uint64_t epoch_ = 0;
};

}  // namespace keyward::hsm
