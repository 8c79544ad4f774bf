// The time that keys age by.
#pragma once

#include <algorithm>

#include "core/clock.h"

namespace keyward {

// Wall time that goes on whatever the system's clock is set back to: not before what is stored, and
// not before what it said earlier. A clock that is set forward is believed. The clock outlives it.
class LifecycleClock {
 public:
  explicit LifecycleClock(const Clock& clock)
      : clock_(clock), wall_(clock.Now()), monotonic_(clock.Monotonic()) {}

  void NotBefore(WallTime stored) { wall_ = std::max(wall_, stored); }
  WallTime Now() const { return std::max(clock_.Now(), wall_ + (clock_.Monotonic() - monotonic_)); }

 private:
  const Clock& clock_;
  WallTime wall_;
  MonotonicTime monotonic_;
};

}  // namespace keyward
