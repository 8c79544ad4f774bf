#include "keyd/bus/context.h"

#include <utility>

#include "keyd/audit_events.h"
#include "keyd/bus/bus_error.h"

namespace keyward::bus {

void RefuseReading(Context& context, const policy::Caller& reader, audit::Event::Detail of,
                   const Error& why) {
  audit::Event event = MakeEvent(audit::EventKind::kCallRefused, reader.uid, "Properties");
  event.detail.push_back(std::move(of));
  context.daemon.audit.RecordRefusal(event, why);
  throw ToBusError(why);
}

}  // namespace keyward::bus
