// Time comes in through this interface. The system's is made where a program begins, in main(), and
// where a client waits.
#pragma once

#include <chrono>

namespace keyward {

using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::milliseconds>;

// Any thread may call.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime Now() const = 0;             // for what leaves the process: timestamps
  virtual MonotonicTime Monotonic() const = 0;  // for lifetimes: never steps back
};

class SystemClock final : public Clock {
 public:
  WallTime Now() const override;
  MonotonicTime Monotonic() const override;
};

}  // namespace keyward
