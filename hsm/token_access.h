// The one way to a token: module, slot, session and login, shared by all custodians of a factory.
#pragma once

#include <memory>
#include <mutex>

#include "hsm/hsm_factory.h"
#include "hsm/module.h"
#include "hsm/pin_guard.h"
#include "hsm/session.h"

namespace keyward::hsm {

// Any thread may call.
class TokenAccess {
 public:
  explicit TokenAccess(HsmOptions options);

  // A logged-in session. Loads the module if it is not, and when the token is not to be seen
  // reloads it once, for tokens that came back. Errors: those of HsmFactory::Make.
  Result<Session> Open();

  const std::string& token_label() const { return options_.token_label; }
  // Held while something is looked for and then made, so that two threads do not make two. May be
  // held during Open().
  std::mutex& making_mutex() { return making_mutex_; }

 private:
  Result<std::shared_ptr<HsmModule>> Module();
  Result<Session> OpenOn(const std::shared_ptr<HsmModule>& module);
  Result<void> LogIn(const Session& session, const TokenState& token);

  const HsmOptions options_;
  std::mutex mutex_;  // for what follows, and so that two threads do not try one PIN twice
  std::shared_ptr<HsmModule> module_;
  PinGuard guard_;
  std::mutex making_mutex_;
};

}  // namespace keyward::hsm
