// The end of the audit log of one run.
#pragma once

#include "keyd/daemon.h"
#include "keyd/post_queue.h"

namespace keyward {

// Has the log signed, where keyd has a key for that and its hardware answers soon, writes its last
// record, and has the store know of it. Runs posted work meanwhile. To be called on the bus thread
// when no work comes in any more, and before the custodians stop.
void EndAudit(Daemon& daemon, PostQueue& posts);

}  // namespace keyward
