#include "keyd/custodian_watch.h"

#include "keyd/audit_events.h"

namespace keyward {
namespace {

using audit::EventKind;

audit::Event EventOf(const CustodianStatus& status) {
  const Error* const trouble = status.trouble();
  const EventKind kind = trouble == nullptr ? EventKind::kCustodianBack
                         : status.failure   ? EventKind::kCustodianLost
                                            : EventKind::kCustodianConcern;
  const audit::Event event = MakeEvent(kind, kDaemonItself, status.name);
  return trouble == nullptr ? event : Failed(event, *trouble);
}

}  // namespace

void CustodianWatch::Look(const KeyRingPools& pools, AuditTrail& trail) {
  if (!trail.is_open()) return;
  for (const auto& [name, pool] : pools) {
    const audit::Event event = EventOf(pool->Status());
    const Told now{event.kind, event.failed};
    const auto told = told_.try_emplace(name, Told{EventKind::kCustodianBack, {}}).first;
    if (told->second == now) continue;
    told->second = now;
    trail.RecordDone(event);
  }
}

}  // namespace keyward
