// The capability to keep the one secret that everything else depends on.
#pragma once

#include <optional>
#include <span>

#include "core/bytes.h"
#include "core/key_id.h"
#include "core/pcr_policy.h"
#include "core/public_key.h"
#include "core/result.h"
#include "core/secret_bytes.h"

namespace keyward {

inline constexpr size_t kMasterKeySize = 32;
inline constexpr size_t kMaxMasterRecord = 1024;

// What sets it apart from a Sealer: the hardware holds a part that no copy of the disk has, so that
// Destroy makes the record useless for ever; and a TPM opens it only in a state of the boot that an
// authority has signed. One thread at a time. Errors of all: those common to all calls; see
// signer.h.
class MasterSealer {
 public:
  virtual ~MasterSealer() = default;

  // Seals `master` (kMasterKeySize bytes) under the name `id`, and gives a record (no secret, at
  // most kMaxMasterRecord bytes) that Unseal takes. `authority`, an ECDSA P-256 key, is who signs
  // PCR policies. Errors: kAlreadyExists; kInvalidArgument (a TPM needs an authority, an HSM takes
  // none).
  virtual Result<Bytes> SealMaster(const KeyId& id, const SecretBytes& master,
                                   const std::optional<PublicKey>& authority) = 0;

  // `policies` are tried one after the other; an HSM has no use for them. Errors: kMalformed (not a
  // record), kPcrMismatch (no policy, or none that the PCRs of now and its signature satisfy),
  // kAuthenticationFailed (the record was changed), kNotFound (the hardware's part is gone:
  // destroyed, or of other hardware).
  virtual Result<SecretBytes> UnsealMaster(const KeyId& id, ByteView record,
                                           std::span<const SignedPcrPolicy> policies) = 0;

  // Makes every record under `id` useless. Nothing under that name is success.
  virtual Result<void> DestroyMaster(const KeyId& id) = 0;
};

}  // namespace keyward
