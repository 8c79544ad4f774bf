// Tells the audit log when hardware goes and when it comes back.
#pragma once

#include <set>
#include <string>

#include "keyd/audit_trail.h"
#include "keyd/key_ring.h"

namespace keyward {

// Belongs to the bus thread.
class CustodianWatch {
 public:
  // Compares what is known of `pools` with what was told last. While the log is closed nothing is
  // told: what is still so when it opens is told then.
  void Look(const KeyRingPools& pools, AuditTrail& trail);

 private:
  std::set<std::string> lost_;
};

}  // namespace keyward
