// The capability to hold signing keys that never leave.
#pragma once

#include <span>
#include <vector>

#include "core/algorithm.h"
#include "core/bytes.h"
#include "core/key_id.h"
#include "core/public_key.h"
#include "core/result.h"

namespace keyward {

// What the custodian needs to find a key again: for an HSM its id, for a TPM the wrapped blob.
// Opaque, no secret, at most kMaxKeyReference bytes.
using KeyReference = Bytes;
inline constexpr size_t kMaxKeyReference = 4096;

struct GeneratedKey {
  KeyReference reference;
  PublicKey public_key;
};

// One thread at a time; keyd gives each of its custodian threads a Signer of its own.
// Errors of every function: kCustodianUnavailable (the token or TPM is gone or does not answer),
// kPinRejected, kCustodianReplaced.
class Signer {
 public:
  virtual ~Signer() = default;

  virtual std::vector<Algorithm> SigningAlgorithms() const = 0;

  // Makes a non-extractable key under `id` and proves with one signature that it works before it
  // returns. On an error nothing stays behind. Errors: kNotSupported (algorithm), kAlreadyExists.
  virtual Result<GeneratedKey> GenerateKey(Algorithm algorithm, const KeyId& id) = 0;

  // Signs a whole message; the formats are those of PublicKey::Verify. Errors: kNotFound (no such
  // key here), kDataCorrupt (the reference does not parse or was made by another custodian).
  virtual Result<Bytes> Sign(const KeyReference& reference, ByteView message) = 0;

  // Makes the key unusable for ever. A key that is not there any more is success.
  virtual Result<void> DestroyKey(const KeyReference& reference) = 0;

  // Removes whatever a crash left of keys that were announced but never recorded; nothing else is
  // touched, so that a lost database can never cost a key.
  virtual Result<void> DestroyUnrecorded(std::span<const KeyId> announced) = 0;
};

}  // namespace keyward
