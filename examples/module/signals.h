// Ctrl-C and SIGTERM as something that poll(2) can wait for.
#pragma once

#include <csignal>

#include "core/unique_fd.h"

namespace keyward::example {

// While it lives, SIGINT and SIGTERM do not end the process but make descriptor() readable. One at
// a time, before any thread is started.
class Signals {
 public:
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  int descriptor() const { return descriptor_.get(); }
  // Waits until `other` is readable. False when a signal came instead.
  bool WaitForInput(int other) const;

 private:
  sigset_t before_{};
  UniqueFd descriptor_;
};

}  // namespace keyward::example
