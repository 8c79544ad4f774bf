// The private halves that a backup holds: derived from the master key, or opened by the custodians
// one after the other.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "keyd/backup/content.h"
#include "keyd/held_secret.h"
#include "keyd/key_ring.h"

namespace keyward::backup {

struct GatheringParts {
  KeyRingPools& pools;
  KeyRing::Post post;
  uint32_t caller;
  std::shared_ptr<HeldSecret<Secrets>> secrets;  // where they go, beside those that are there
};

// The seeds of derived keys. Errors: those of DeriveSeed, with the name of the key.
Result<Secrets> DeriveSecrets(const SecretBytes& transport_key, const StoredState& state);

// Belongs to the bus thread. Other callers' work goes in between. `done` is called once. Errors:
// the Sealer's, with the name of the key; kCustodianUnavailable; kSealed: then no key is opened any
// more.
void GatherSecrets(const GatheringParts& parts, const StoredState& state,
                   std::function<void(Result<Secrets>)> done);

}  // namespace keyward::backup
