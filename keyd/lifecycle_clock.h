// The time that keys age by.
#pragma once

#include <algorithm>

#include "core/clock.h"

namespace keyward {

// Wall time that goes on whatever the system's clock is set back to: not before what is stored, and
// not before what it said earlier. A clock that is set forward is believed, also once it is set
// back. One thread at a time. The clock outlives it.
class LifecycleClock {
 public:
  explicit LifecycleClock(const Clock& clock)
      : clock_(clock), wall_(clock.Now()), monotonic_(clock.Monotonic()) {}

  void NotBefore(WallTime stored) { wall_ = std::max(Now(), stored); }
  WallTime Now() const {
    const MonotonicTime monotonic = clock_.Monotonic();
    wall_ = std::max(clock_.Now(), wall_ + (monotonic - monotonic_));
    monotonic_ = monotonic;
    return wall_;
  }

 private:
  const Clock& clock_;
  mutable WallTime wall_;            // what it said last,
  mutable MonotonicTime monotonic_;  // and when
};

}  // namespace keyward
