// What a custodian's thread does for the journal.
#pragma once

#include "core/counter.h"

namespace keyward {

// Brings the counter `id` to `epoch`, from the value below or from that value itself. Errors:
// kRolledBack (it is elsewhere: another keyd, or other hardware state, has used it), the counter's.
Result<void> RaiseTo(Counter& counter, const KeyId& id, uint64_t epoch);

// Whether a store of `epoch` may be the latest one where the hardware has counted to `value`: they
// are equal, or a crash came between the two. Errors: kRolledBack.
Result<void> CheckEpoch(uint64_t epoch, uint64_t value);

}  // namespace keyward
