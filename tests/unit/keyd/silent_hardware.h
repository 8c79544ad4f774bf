// Hardware that does not answer until the test lets it.
#pragma once

#include <latch>
#include <utility>

namespace keyward::testing_support {

class SilentHardware {
 public:
  SilentHardware() = default;
  ~SilentHardware() { Answer(); }
  SilentHardware(const SilentHardware&) = delete;
  SilentHardware& operator=(const SilentHardware&) = delete;

  // Once, on the custodian's thread: says that it was reached, and waits for Answer.
  void Hold() {
    reached_.count_down();
    answers_.wait();
  }
  void AwaitReached() { reached_.wait(); }
  void Answer() {
    if (!std::exchange(answered_, true)) answers_.count_down();
  }

 private:
  std::latch reached_{1};
  std::latch answers_{1};
  bool answered_ = false;
};

}  // namespace keyward::testing_support
