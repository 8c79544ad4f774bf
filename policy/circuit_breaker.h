// Stops calls to hardware that keeps failing, so that clients hear at once instead of waiting.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>

#include "core/clock.h"
#include "core/result.h"

namespace keyward::policy {

struct CircuitBreakerLimits {
  size_t failures = 5;                 // this many ...
  std::chrono::seconds window{60};     // ... within this time open it
  std::chrono::seconds cooldown{120};  // then one probe is let through
};

// Closed: calls pass and failures are counted. Open: none passes. Half-open: one probe passes, and
// its outcome closes or opens the breaker again. (M. Nygard, Release It!, 2nd ed., "Circuit
// Breaker")
//
// Every call that Admit lets through is followed by RecordSuccess or RecordFailure. A failure is
// hardware that does not answer; an answer of whatever content, a refusal too, is a success. A
// probe whose outcome nobody reports is given up after another cooldown. A single-threaded value:
// whoever shares it holds a lock.
class CircuitBreaker {
 public:
  enum class State : uint8_t { kClosed = 1, kOpen = 2, kHalfOpen = 3 };

  // `clock` outlives the breaker. `limits.failures` is at least 1.
  explicit CircuitBreaker(const Clock& clock, CircuitBreakerLimits limits = {});

  // Errors: kCircuitBreakerOpen with the time until the next probe.
  Result<void> Admit();
  void RecordSuccess();
  void RecordFailure();
  // The hardware was asked past the breaker and serves: calls pass again.
  void Close();

  // As of now: an open breaker whose cooldown is over is half-open.
  State state() const;

 private:
  bool CooldownIsOver() const;
  void Open();

  const Clock& clock_;
  CircuitBreakerLimits limits_;
  bool closed_ = true;
  bool probing_ = false;
  MonotonicTime cooldown_start_;        // valid unless closed_
  std::deque<MonotonicTime> failures_;  // within the window; fewer than limits_.failures
};

// "closed", "open", "half-open"
std::string_view Name(CircuitBreaker::State state);

}  // namespace keyward::policy
