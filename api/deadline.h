// A point in time by which a blocking call has to be done.
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>

#include "core/clock.h"

namespace keyward {

class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds from_now)
      : at_(SystemClock().Monotonic() + from_now) {}

  // Milliseconds left, for poll(2); 0 when it has passed.
  int PollTimeout() const {
    const auto left = (at_ - SystemClock().Monotonic()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, std::numeric_limits<int>::max()));
  }

 private:
  MonotonicTime at_;
};

// Where a caller names no other.
inline constexpr std::chrono::milliseconds kDefaultTimeout = std::chrono::seconds(30);

}  // namespace keyward
