// A clock that stands still until told otherwise.
#pragma once

#include <atomic>

#include "core/clock.h"

namespace keyward::testing_support {

class FakeClock final : public Clock {
 public:
  WallTime Now() const override {
    return WallTime(std::chrono::milliseconds(milliseconds_ - set_back_));
  }
  MonotonicTime Monotonic() const override {
    return MonotonicTime(std::chrono::milliseconds(milliseconds_));
  }
  void Advance(std::chrono::milliseconds by) { milliseconds_ += by.count(); }
  // As when somebody sets the wall clock; the monotonic one goes on.
  void SetBack(std::chrono::milliseconds by) { set_back_ += by.count(); }

 private:
  std::atomic<int64_t> set_back_ = 0;
  std::atomic<int64_t> milliseconds_ = 1'750'000'000'000;
};

}  // namespace keyward::testing_support
