// Has the custodians open every sealed key that can sign, one after the other, and derives the
// seeds of derived ones.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "keyd/backup/content.h"
#include "keyd/key_ring.h"

namespace keyward::backup {

struct GatheringParts {
  KeyRingPools& pools;
  KeyRing::Post post;
  uint32_t caller;
  const SecretBytes& transport_key;  // is needed during the call alone
};

// Belongs to the bus thread. Other callers' work goes in between. `done` is called once. Errors:
// the Sealer's, with the name of the key; kCustodianUnavailable.
void GatherSecrets(const GatheringParts& parts, const StoredState& state,
                   std::function<void(Result<Secrets>)> done);

}  // namespace keyward::backup
