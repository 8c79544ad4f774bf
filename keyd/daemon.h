// The state that keyd's services work on.
#pragma once

#include <memory>

#include "keyd/audit_trail.h"
#include "keyd/boot.h"
#include "keyd/channel_server.h"
#include "keyd/key_ring.h"
#include "keyd/session_table.h"
#include "keyd/session_tokens.h"
#include "keyd/vault.h"
#include "policy/policy.h"

namespace keyward {

// Made and owned by main(). Belongs to the bus thread, but for what says otherwise itself.
struct Daemon {
  const Clock& clock;
  Rng& rng;
  KeyRingPools& pools;
  SessionTable& sessions;
  ChannelServer& channels;
  AuditTrail& audit;
  SessionTokens& tokens;
  KeyRing::Post post;  // runs a function on the bus thread
  std::shared_ptr<const policy::Policy> policy;
  Boot boot;
  std::unique_ptr<Vault> vault = nullptr;  // none while the service is sealed
  Error sealed_because{ErrorCode::kSealed, "keyd is starting"};

  std::function<void()> on_vault_changed = [] {};  // told when the vault came or went

  std::function<void(const VersionChange&)> on_version_changed = [](const VersionChange&) {};

  // Errors: kSealed.
  Result<Vault*> Unsealed() const;
  // Ends what depends on a version that is retired now, and tells the listener.
  void OnVersionChanged(const VersionChange& change);
};

}  // namespace keyward
