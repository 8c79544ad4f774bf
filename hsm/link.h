// One thread's way to the token, which mends itself.
#pragma once

#include <memory>
#include <optional>

#include "hsm/session.h"
#include "hsm/token_access.h"

namespace keyward::hsm {

class Link {
 public:
  explicit Link(std::shared_ptr<TokenAccess> access) : access_(std::move(access)) {}

  TokenAccess& access() { return *access_; }
  // Counts sessions: an object handle is worth something while this stays the same.
  uint64_t epoch() const { return epoch_; }

  // Opens the session if there is none. Errors: those of HsmFactory::Make.
  Result<void> Connect() {
    if (session_) return {};
    KEYWARD_ASSIGN(Session session, access_->Open());
    session_.emplace(std::move(session));
    ++epoch_;
    return {};
  }

  // Runs `work` on the session; when the token was lost, once more on a new one. So `work` must be
  // safe to repeat.
  template <class Work>
  auto Run(Work work) -> decltype(work(std::declval<const Session&>())) {
    const bool was_connected = session_.has_value();
    auto result = RunOnce(work);
    if (result || session_ || !was_connected) return result;
    return RunOnce(work);
  }

  // Runs `work` on the session, and drops the session when that turns out to be lost.
  template <class Work>
  auto RunOnce(Work work) -> decltype(work(std::declval<const Session&>())) {
    KEYWARD_TRY(Connect());
    auto result = work(*session_);
    if (!result && result.error().code() == ErrorCode::kCustodianUnavailable) session_.reset();
    return result;
  }

 private:
  std::shared_ptr<TokenAccess> access_;
  std::optional<Session> session_;
  uint64_t epoch_ = 0;
};

}  // namespace keyward::hsm
