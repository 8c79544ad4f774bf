// Tokens of sessions: made for their holders, checked for their peers.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>

#include "keyd/session_table.h"
#include "session/token.h"

namespace keyward {

// Any thread may call. A token is good for as long as its session: it names the run of keyd, so
// none outlives a restart or a seal.
class SessionTokens {
 public:
  // Whose session the bearer of a token holds.
  struct Bearer {
    uint64_t session;
    std::string module;
    std::chrono::seconds left;  // until the session expires at the latest
  };

  SessionTokens(const SessionTable& sessions, const Clock& clock)
      : sessions_(sessions), clock_(clock) {}

  // `key`: Subkey::kToken. Before it is there, and after it is gone, all else fails with kSealed.
  void Use(std::weak_ptr<const SecretBytes> key);

  // For the holder of an established session. Errors: kSealed, kWrongState, kResourceExhausted.
  Result<SecretBytes> Make(const LiveSession& holder) const;
  // For the module at the other end alone. Errors: kSealed, kMalformed, kAuthenticationFailed,
  // kSessionClosed (its session has ended), kPeerNotAllowed (its session is with somebody else).
  Result<Bearer> Check(ByteView token, const SessionInfo& asker) const;

 private:
  Result<std::shared_ptr<const SecretBytes>> Key() const;

  const SessionTable& sessions_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::weak_ptr<const SecretBytes> key_;
};

}  // namespace keyward
