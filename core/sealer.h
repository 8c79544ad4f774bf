// The capability to wrap a small secret so that only this token or TPM can unwrap it.
#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "core/secret_bytes.h"

namespace keyward {

inline constexpr size_t kMaxSealedSecret = 96;  // bytes; TPM2B_SENSITIVE_DATA holds 128

// One thread at a time. Errors of both: kCustodianUnavailable, kPinRejected, kCustodianReplaced.
class Sealer {
 public:
  virtual ~Sealer() = default;

  // A blob that holds `secret` (1..kMaxSealedSecret bytes) bound to `context`, which is no secret
  // and says what the blob is for, so that one blob cannot stand in for another. Errors: kTooLarge.
  virtual Result<Bytes> Seal(const SecretBytes& secret, ByteView context) = 0;

  // Errors: kMalformed (not a blob), kAuthenticationFailed (tampered, another context, or sealed by
  // another token or TPM).
  virtual Result<SecretBytes> Unseal(ByteView blob, ByteView context) = 0;
};

}  // namespace keyward
