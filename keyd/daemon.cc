#include "keyd/daemon.h"

namespace keyward {

Result<Vault*> Daemon::Unsealed() const {
  if (vault != nullptr) return vault.get();
  return Fail(ErrorCode::kSealed, "the service is sealed: " + sealed_because.message());
}

void Daemon::OnVersionChanged(const VersionChange& change) {
  if (change.state == VersionState::kRetired) {
    sessions.EndWhere(
        [&](const SessionInfo& session) {
          // A peer that has another version to prove itself with goes on.
          return session.key->id() == change.id ||
                 (session.peer_keys.size() == 1 && session.peer_keys.front() == change.id);
        },
        Error(ErrorCode::kExpired, "the version of the key that the session rests on is retired"));
  }
  on_version_changed(change);
}

}  // namespace keyward
