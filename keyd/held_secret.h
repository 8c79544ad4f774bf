// Secrets that somebody holds from one call of the hardware to the next, and that end with the
// vault.
//
// Hardware may take its time, or never answer: what waits for it must not keep a secret in a
// service that was sealed meanwhile.
#pragma once

#include <concepts>
#include <mutex>
#include <optional>
#include <utility>

#include "core/result.h"

namespace keyward {

class EndsWithVault {
 public:
  EndsWithVault() = default;
  virtual ~EndsWithVault() = default;
  EndsWithVault(const EndsWithVault&) = delete;
  EndsWithVault& operator=(const EndsWithVault&) = delete;
  // Wipes what is held, at once or, while it is in use, when that use is over. Waits for nothing.
  virtual void End() = 0;
};

// Made by Vault::Hold. Any thread may call; one at a time uses it. The end of a T wipes it.
template <class T>
class HeldSecret final : public EndsWithVault {
 public:
  explicit HeldSecret(T secret) : secret_(std::move(secret)) {}

  // To be asked before another secret is unsealed for it. Errors: kSealed.
  Result<void> CheckHeld() const {
    const std::lock_guard lock(mutex_);
    return Check();
  }

  // What `use`, which gives a Result, makes of it. Errors: those of `use`; kSealed: it has ended,
  // before that or meanwhile, and nothing comes of it.
  template <std::invocable<T&> Use>
  std::invoke_result_t<Use, T&> With(Use use) {
    {
      const std::lock_guard lock(mutex_);
      KEYWARD_TRY(Check());
      in_use_ = true;
    }
    auto outcome = use(*secret_);
    const std::lock_guard lock(mutex_);
    in_use_ = false;
    if (ended_) secret_.reset();
    KEYWARD_TRY(Check());
    return outcome;
  }

  void End() override {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    if (!in_use_) secret_.reset();
  }

 private:
  Result<void> Check() const {
    if (!ended_) return {};
    return Fail(ErrorCode::kSealed, "the service was sealed meanwhile");
  }

  mutable std::mutex mutex_;
  std::optional<T> secret_;  // by itself while it is in use; nothing once it has ended
  bool in_use_ = false;
  bool ended_ = false;
};

}  // namespace keyward
