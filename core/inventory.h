// The capability to tell whether hardware still has what it keeps.
#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "core/signer.h"

namespace keyward {

// Of a Custodian whose hardware keeps the keys themselves; the class of that custodian is one of
// these too. For one that keeps nothing but what it is known by, as a TPM, there is none. One
// thread at a time. Looks things up, and uses them for nothing. Errors: those common to all calls
// (see signer.h), and what the reference or blob does not parse as.
class Inventory {
 public:
  virtual ~Inventory() = default;

  // Whether the key is there that Signer::GenerateKey gave this reference.
  virtual Result<bool> HoldsKey(const KeyReference& reference) = 0;
  // Whether the key is there that Sealer::Seal wrapped this blob with.
  virtual Result<bool> HoldsKeyOf(ByteView blob) = 0;
};

}  // namespace keyward
