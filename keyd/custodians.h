// The custodians that security.yaml asks for, each with its threads.
#pragma once

#include <string>

#include "core/clock.h"
#include "core/rng.h"
#include "keyd/key_ring.h"
#include "policy/policy.h"

namespace keyward {

// Nothing is contacted yet: a custodian that is missing shows as one that does not serve. Errors:
// kConfiguration (neither hsm nor tpm).
Result<KeyRingPools> MakeCustodians(const policy::Policy& policy,
                                    const std::string& state_directory, const Clock& clock,
                                    Rng& rng);

}  // namespace keyward
