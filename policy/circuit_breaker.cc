#include "policy/circuit_breaker.h"

namespace keyward::policy {
namespace {

// By then the outcome of a probe is usually known.
constexpr std::chrono::milliseconds kProbeTime{1000};

}  // namespace

CircuitBreaker::CircuitBreaker(const Clock& clock, CircuitBreakerLimits limits)
    : clock_(clock), limits_(limits) {}

Result<void> CircuitBreaker::Admit() {
  if (closed_) return {};
  if (!CooldownIsOver()) {
    const std::chrono::milliseconds left =
        probing_ ? kProbeTime : cooldown_start_ + limits_.cooldown - clock_.Monotonic();
    return Fail(Error(ErrorCode::kCircuitBreakerOpen,
                      "circuit breaker open: the token or TPM failed repeatedly and is left alone "
                      "for a while; `keyctl status` shows why")
                    .WithRetryAfter(static_cast<uint32_t>(left.count())));
  }
  // The probe. Until its outcome is known nobody else passes, at most for one more cooldown.
  probing_ = true;
  cooldown_start_ = clock_.Monotonic();
  return {};
}

void CircuitBreaker::RecordSuccess() {
  // Successes between failures leave the count alone: a chip that fails every other time is bad.
  // While open they are late news from calls admitted before it opened.
  if (!closed_ && probing_) Close();
}

void CircuitBreaker::RecordFailure() {
  if (!closed_) {
    if (probing_) Open();
    return;
  }
  const MonotonicTime now = clock_.Monotonic();
  while (!failures_.empty() && now - failures_.front() >= limits_.window) failures_.pop_front();
  failures_.push_back(now);
  if (failures_.size() >= limits_.failures) Open();
}

CircuitBreaker::State CircuitBreaker::state() const {
  if (closed_) return State::kClosed;
  return probing_ || CooldownIsOver() ? State::kHalfOpen : State::kOpen;
}

void CircuitBreaker::Close() {
  if (closed_) return;  // failures between successes stay counted
  closed_ = true;
  probing_ = false;
  failures_.clear();
}

bool CircuitBreaker::CooldownIsOver() const {
  return clock_.Monotonic() - cooldown_start_ >= limits_.cooldown;
}

void CircuitBreaker::Open() {
  closed_ = false;
  probing_ = false;
  cooldown_start_ = clock_.Monotonic();
  failures_.clear();
}

std::string_view Name(CircuitBreaker::State state) {
  switch (state) {
    case CircuitBreaker::State::kClosed:
      return "closed";
    case CircuitBreaker::State::kOpen:
      return "open";
    case CircuitBreaker::State::kHalfOpen:
      return "half-open";
  }
  return "open";
}

}  // namespace keyward::policy
