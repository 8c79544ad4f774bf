#include "keyd/audit_end.h"

#include <poll.h>

#include <memory>

#include "keyd/audit_events.h"
#include "keyd/log.h"
#include "policy/name_rules.h"

namespace keyward {
namespace {

// What waits for the end of keyd does not wait long for a signature that may be made later.
constexpr std::chrono::milliseconds kPatience{500};

void SignLast(Daemon& daemon, PostQueue& posts) {
  const bool has_key = daemon.vault->keys().Find(policy::kServiceKeyName) != nullptr;
  if (!has_key || !daemon.vault->checkpoints().HasUnsigned()) return;
  const auto ended = std::make_shared<bool>(false);
  daemon.vault->checkpoints().Sign([ended](const Result<void>& done) {
    *ended = true;
    if (!done) LogError("signing the audit log", done.error());
  });
  const MonotonicTime deadline = daemon.clock.Monotonic() + kPatience;
  while (!*ended && daemon.clock.Monotonic() < deadline) {
    pollfd waiting{.fd = posts.fd(), .events = POLLIN, .revents = 0};
    const auto left = deadline - daemon.clock.Monotonic();
    if (poll(&waiting, 1, static_cast<int>(left.count())) < 0) continue;  // a signal: look anew
    posts.RunPosted();
  }
}

}  // namespace

void EndAudit(Daemon& daemon, PostQueue& posts) {
  if (daemon.vault == nullptr) return;
  SignLast(daemon, posts);
  if (daemon.vault == nullptr) return;  // posted work may have sealed it
  daemon.audit.Flush();
  daemon.audit.RecordDone(MakeEvent(audit::EventKind::kServiceStop, kDaemonItself, ""));
  if (const Result<void> noted = daemon.vault->journal().NoteAuditHead(); !noted) {
    LogError("writing down how far the audit log has come", noted.error());
  }
}

}  // namespace keyward
