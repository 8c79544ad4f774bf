// What hardware that serves has to be for keyd to serve again after a restart.
#pragma once

#include <optional>
#include <span>

#include "core/pcr_policy.h"
#include "core/result.h"

namespace keyward {

// Pure decisions: the error is what somebody should look at, nothing says that all is well. None of
// it stops a keyd that serves.

// Whether it says how the counter is, and not only that it could not be read.
bool TellsOfCounter(const Result<uint64_t>& counter);

// `counter`: what reading the counter that confirms the store's `epoch` came to. It may be one
// behind, while a change waits to be confirmed. kCustodianCleared: it is gone. kRolledBack: it is
// elsewhere. An answer that says nothing of the counter itself is no concern.
std::optional<Error> JudgeCounter(const Result<uint64_t>& counter, uint64_t epoch);

// `held`: whether a key is there that is recorded as kept in the hardware. kCustodianCleared: not.
std::optional<Error> JudgeKey(bool held);

// `policies`: the states that release the master key. kPcrMismatch: `values` are none of them. No
// policy at all, or PCRs that were not read, is no concern.
std::optional<Error> JudgePcrs(std::span<const SignedPcrPolicy> policies, const PcrValues& values);

}  // namespace keyward
