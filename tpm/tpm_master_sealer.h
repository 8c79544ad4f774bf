// The master key in a TPM's NV memory.
#pragma once

#include "core/master_sealer.h"
#include "core/rng.h"
#include "tpm/link_keeper.h"

namespace keyward::tpm {

// The key itself is in an NV index, so that TPM2_NV_UndefineSpace leaves nothing that any copy of
// the disk could open. The index can be
// - read only in a policy session that satisfies TPM2_PolicyAuthorize (TPM 2.0 part 3, 23.16) for
//   the authority's key: in a state of the PCRs that the authority has signed, whenever that was. A
//   new signature opens a new state; the key is not sealed anew.
// - written once: the authorization value that writes it is random and known to nobody after
//   SealMaster, and the index is then locked for good (WRITEDEFINE).
// Neither its owner nor the platform can read or write it, only remove it. The key travels
// encrypted both ways, in sessions salted to the pinned primary.
//
// Wear: SealMaster writes NV three times, DestroyMaster once, UnsealMaster never.
class TpmMasterSealer final : public MasterSealer {
 public:
  TpmMasterSealer(LinkKeeper& links, Rng& rng) : links_(links), rng_(rng) {}

  // Errors: kResourceExhausted (no room in NV memory).
  Result<Bytes> SealMaster(const KeyId& id, const SecretBytes& master,
                           const std::optional<PublicKey>& authority) override;
  Result<SecretBytes> UnsealMaster(const KeyId& id, ByteView record,
                                   std::span<const SignedPcrPolicy> policies) override;
  // Of whatever authority. An index that SealMaster did not make stays.
  Result<void> DestroyMaster(const KeyId& id) override;

 private:
  LinkKeeper& links_;
  Rng& rng_;
};

}  // namespace keyward::tpm
