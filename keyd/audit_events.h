// The audit events of keyd's parts. docs/AUDIT_FORMAT.md, "Details".
#pragma once

#include <optional>
#include <string_view>

#include "audit/event.h"
#include "keyd/live_session.h"
#include "keyd/store_records.h"

namespace keyward {

// `caller`: a uid, or kDaemonItself. Of what `failed` is, nothing yet.
audit::Event MakeEvent(audit::EventKind kind, uint32_t caller, std::string_view object);

// What happens to a version of a key; version 0: to all of them, or to one that has no number yet.
audit::Event KeyEvent(audit::EventKind kind, uint32_t caller, const KeyRecord& key,
                      uint32_t version);
audit::Event ModuleEvent(audit::EventKind kind, uint32_t caller, std::string_view module,
                         std::string_view key);
// Of a revocation list that `issuer` signed, or is said to have.
audit::Event ListImport(uint32_t caller, const Fingerprint& issuer);

audit::Event SessionOpened(const SessionInfo& session);
// The caller is whose session it was; "why" says how it ended.
audit::Event SessionEnded(const SessionInfo& session, const SessionCounters& counters,
                          const Error& reason);

// The same event with why it came to nothing.
audit::Event Failed(audit::Event event, const Error& why);

}  // namespace keyward
