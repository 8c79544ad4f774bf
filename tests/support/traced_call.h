// One system call that a traced thread is about to make: which it is, what it is about, and what
// can be done to it.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace keyward::testing_support {

// A seccomp filter that stops (SECCOMP_RET_TRACE) at every call that TracedCall knows.
std::vector<sock_filter> TraceFilter();

class TracedCall {
 public:
  // Of a thread in a PTRACE_EVENT_SECCOMP stop. Nothing when the thread was killed meanwhile.
  static std::optional<TracedCall> Of(pid_t thread);

  const std::string& name() const { return name_; }
  // Whether it is a prctl(PR_SET_DUMPABLE, 0).
  bool HidesMemory() const;
  // The paths that it would change: of its path arguments, or of the file or the socket's peer
  // behind its descriptor. Empty for an openat that neither creates nor truncates, for pipes, and
  // for what cannot be resolved.
  std::vector<std::filesystem::path> Targets() const;
  pid_t process() const { return process_; }

  // The call is not made, and returns `result`, which is negative for an error.
  void Skip(long result) const;
  // It is made for half of its bytes, rounded up. False for a call that is no write or pwrite64.
  bool Halve() const;

 private:
  TracedCall() = default;
  std::filesystem::path PathAt(int folder_argument, int path_argument) const;
  std::filesystem::path Link(const std::string& name) const;
  std::optional<std::filesystem::path> PeerOf(int descriptor) const;
  std::string Text(uint64_t address) const;

  pid_t thread_ = 0;
  pid_t process_ = 0;
  long number_ = 0;
  std::array<uint64_t, 6> arguments_{};
  std::string name_;
};

}  // namespace keyward::testing_support
