#include "keyd/session_tokens.h"

#include <utility>

namespace keyward {
namespace {

session::TokenClaims ClaimsOf(const SessionInfo& session) {
  return {.session = session.id,
          .boot = Blake2b(AsBytes(session.boot.id + "\n" + session.boot.quote + "\n"))};
}

}  // namespace

void SessionTokens::Use(std::weak_ptr<const SecretBytes> key) {
  const std::lock_guard lock(mutex_);
  key_ = std::move(key);
}

Result<std::shared_ptr<const SecretBytes>> SessionTokens::Key() const {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const SecretBytes> key = key_.lock();
  if (key == nullptr) return Fail(ErrorCode::kSealed, "the service is sealed");
  return key;
}

Result<SecretBytes> SessionTokens::Make(const LiveSession& holder) const {
  if (holder.state() != SessionState::kEstablished) {
    return Fail(ErrorCode::kWrongState, "only an established session has a token");
  }
  KEYWARD_ASSIGN(const std::shared_ptr<const SecretBytes> key, Key());
  return session::MakeToken(ClaimsOf(holder.info()), *key);
}

Result<SessionTokens::Bearer> SessionTokens::Check(ByteView token, const SessionInfo& asker) const {
  KEYWARD_ASSIGN(const std::shared_ptr<const SecretBytes> key, Key());
  KEYWARD_ASSIGN(const session::TokenClaims claims, session::CheckToken(token, *key));
  const std::shared_ptr<LiveSession> session = sessions_.Find(claims.session);
  if (session == nullptr || ClaimsOf(session->info()) != claims ||
      session->state() != SessionState::kEstablished) {
    return Fail(ErrorCode::kSessionClosed, "the session of this token has ended");
  }
  const SessionInfo& holder = session->info();
  if (holder.peer != asker.module) {
    return Fail(ErrorCode::kPeerNotAllowed, "this token is for the peer of its session alone");
  }
  return Bearer{
      .session = holder.id, .module = holder.module, .left = session->TimeLeft(clock_.Monotonic())};
}

}  // namespace keyward
