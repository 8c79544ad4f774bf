// Tells the audit log when hardware goes, when it is not as it should be, and when it is well
// again.
#pragma once

#include <functional>
#include <map>
#include <optional>
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
  struct Told {
    audit::EventKind kind;
    std::optional<ErrorCode> why;
    bool operator==(const Told&) const = default;
  };

  std::map<std::string, Told, std::less<>> told_;
};

}  // namespace keyward
