// The master key, sealed under a key of its own that never leaves the token.
#pragma once

#include "core/master_sealer.h"
#include "core/rng.h"
#include "hsm/link.h"

namespace keyward::hsm {

// SealMaster makes an AES-256 key, labelled "keyward:master", whose CKA_ID is the record's name;
// the record is a GcmBlob (gcm_blob.h) in the context "keyward master record". DestroyMaster
// destroys that key.
class HsmMasterSealer final : public MasterSealer {
 public:
  // Both must outlive the sealer.
  HsmMasterSealer(Link& link, Rng& rng) : link_(link), rng_(rng) {}

  // Opens the record once before it gives it. On an error nothing stays behind, unless the token is
  // gone: then DestroyMaster does it later.
  Result<Bytes> SealMaster(const KeyId& id, const SecretBytes& master,
                           const std::optional<PublicKey>& authority) override;
  Result<SecretBytes> UnsealMaster(const KeyId& id, ByteView record,
                                   std::span<const SignedPcrPolicy> policies) override;
  Result<void> DestroyMaster(const KeyId& id) override;

 private:
  Result<Bytes> MakeRecord(const Session& session, const KeyId& id, const SecretBytes& master);

  Link& link_;
  Rng& rng_;
};

}  // namespace keyward::hsm
