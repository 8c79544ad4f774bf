#include "keyd/audit_events.h"

#include <string>
#include <utility>

#include "core/encoding.h"
#include "keyd/custodian_pool.h"

namespace keyward {

using audit::Event;
using audit::EventKind;
using audit::SafeText;

Event MakeEvent(EventKind kind, uint32_t caller, std::string_view object) {
  Event event{.kind = kind,
              .caller = caller,
              .module = {},
              .object = SafeText(object),
              .failed = std::nullopt,
              .detail = {}};
  if (caller == kDaemonItself) event.caller.reset();
  return event;
}

Event KeyEvent(EventKind kind, uint32_t caller, const KeyRecord& key, uint32_t version) {
  Event event = MakeEvent(kind, caller, key.name);
  if (version != 0) event.detail.push_back({"version", uint64_t{version}});
  event.detail.push_back({"algorithm", SafeText(Name(key.algorithm))});
  event.detail.push_back({"custody", SafeText(Name(key.custody))});
  if (!key.custodian.empty()) event.detail.push_back({"custodian", SafeText(key.custodian)});
  return event;
}

Event ModuleEvent(EventKind kind, uint32_t caller, std::string_view module, std::string_view key) {
  Event event = MakeEvent(kind, caller, key);
  event.module = SafeText(module);
  return event;
}

Event ListImport(uint32_t caller, const Fingerprint& issuer) {
  Event event = MakeEvent(EventKind::kListImport, caller, {});
  event.detail.push_back({"issuer", SafeText(ToHex(issuer))});
  return event;
}

Event SessionOpened(const SessionInfo& session) {
  Event event = MakeEvent(EventKind::kSessionOpen, session.caller.uid, std::to_string(session.id));
  event.module = SafeText(session.module);
  event.detail = {{"key", SafeText(session.key->key().name)},
                  {"version", uint64_t{session.key->number()}},
                  {"peer", SafeText(session.peer)},
                  {"protocol", SafeText(session.protocol)}};
  return event;
}

Event SessionEnded(const SessionInfo& session, const SessionCounters& counters,
                   const Error& reason) {
  const bool closed = reason.code() == ErrorCode::kSessionClosed;
  Event event = MakeEvent(EventKind::kSessionEnd, session.caller.uid, std::to_string(session.id));
  if (!closed) event.failed = reason.code();
  event.module = SafeText(session.module);
  event.detail = {{"peer", SafeText(session.peer)},
                  {"sealed", counters.sealed},
                  {"opened", counters.opened},
                  {"bytes_sealed", counters.bytes_sealed},
                  {"bytes_opened", counters.bytes_opened},
                  {"why", SafeText(reason.message())}};
  return event;
}

Event Failed(Event event, const Error& why) {
  event.failed = why.code();
  return event;
}

}  // namespace keyward
