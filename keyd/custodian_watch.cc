#include "keyd/custodian_watch.h"

#include "keyd/audit_events.h"

namespace keyward {

using audit::EventKind;

void CustodianWatch::Look(const KeyRingPools& pools, AuditTrail& trail) {
  if (!trail.is_open()) return;
  for (const auto& [name, pool] : pools) {
    const CustodianStatus status = pool->Status();
    if (status.failure && lost_.insert(name).second) {
      trail.RecordDone(
          Failed(MakeEvent(EventKind::kCustodianLost, kDaemonItself, name), *status.failure));
    } else if (!status.failure && lost_.erase(name) > 0) {
      trail.RecordDone(MakeEvent(EventKind::kCustodianBack, kDaemonItself, name));
    }
  }
}

}  // namespace keyward
