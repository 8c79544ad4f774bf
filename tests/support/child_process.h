// A program that a test runs beside itself.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "core/result.h"

namespace keyward::testing_support {

// Killed with the object, or with the test program.
class ChildProcess {
 public:
  ChildProcess() = default;
  // argv[0] is looked up in PATH. Errors: kIo (no process to be had).
  static Result<ChildProcess> Start(const std::vector<std::string>& argv);
  ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() { Kill(); }

  // As a power cut: SIGKILL. Returns when it is dead.
  void Kill();
  pid_t pid() const { return pid_; }

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_ = -1;
};

}  // namespace keyward::testing_support
