// keyward-fault-tracer: a disk and a token that fail at one exact moment.
//
// Usage: keyward-fault-tracer --below DIR [--below DIR...] ACTION [OPTION...] [--] COMMAND...
//
// Runs COMMAND and counts, in the order in which they are about to be made, its system calls that
// change something below DIR: write, pwrite64, writev, pwritev, ftruncate, fallocate, fsync and
// fdatasync on a file there; sendto, sendmsg and write on a socket whose peer's path is there
// (swtpm); and openat that creates or truncates, rename, unlink, link, mkdir and truncate of a path
// there, in all their spellings. What reaches a disk without a call is not seen: a shared mapping
// (the wal-index of SQLite, which is rebuilt after a crash), and io_uring.
//
//   --count            how many there were, as the last line of standard output
//   --kill-at N        SIGKILL for COMMAND and its children just before the Nth (the first is 1)
//   --kill-after N     just after it
//   --fail-at N        the Nth is not made, and fails with the error of --errno
//   --errno NAME       ENOSPC (default), EIO, ...
//   --short-at N       the Nth, if it is a write or pwrite64, is made for half of its bytes
//   --arm FILE         counts only once FILE is there, or the tracer gets SIGUSR1
//   --children         counts the calls of COMMAND's children too
//   --log FILE         a line for each: its number, name, and the paths that it is about
//
// Returns once COMMAND and its children are gone, with COMMAND's status, 128 + N after signal N.
// SIGTERM and SIGINT are passed on to COMMAND. Its threads are counted in one row; what another
// thread was doing at the moment of the kill may be done or not.
//
// COMMAND is traced from its start, so it may make itself undumpable and forbid ptrace as it likes;
// but the tracer answers prctl(PR_SET_DUMPABLE, 0) in the kernel's place, because without
// CAP_SYS_PTRACE it could not read the paths of an undumpable process. Works on x86_64 and aarch64.
#include <getopt.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>

#include "tests/support/traced_call.h"

namespace keyward::testing_support {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<fs::path> below;
  bool count = false;
  bool children = false;
  uint64_t kill_at = 0;
  uint64_t kill_after = 0;
  uint64_t fail_at = 0;
  uint64_t short_at = 0;
  int error = ENOSPC;
  std::optional<fs::path> arm;
  std::optional<fs::path> log;
  char** command = nullptr;
};

[[noreturn]] void Die(const std::string& what) {
  static_cast<void>(std::fprintf(stderr, "keyward-fault-tracer: %s\n", what.c_str()));
  std::exit(2);
}

// For the signal handlers.
std::atomic<pid_t> command_process = 0;
std::atomic<bool> armed_by_signal = false;

void OnSignal(int signal) {
  if (signal == SIGUSR1) {
    armed_by_signal = true;
  } else if (command_process > 0) {
    kill(command_process, signal);
  }
}

class Tracer {
 public:
  explicit Tracer(Options options) : options_(std::move(options)), armed_(!options_.arm) {
    if (!options_.log) return;
    log_.open(*options_.log, std::ios::trunc);
    if (!log_) Die("cannot write " + options_.log->string());
  }

  // Until nothing is left to trace. The wait status of `command`.
  int Run(pid_t command) {
    command_ = command;
    int result = 0;
    int status = 0;
    for (pid_t thread = 0; (thread = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
      if (thread < 0) continue;
      if (!WIFSTOPPED(status)) {
        threads_.erase(thread);
        if (thread == command) result = status;
        continue;
      }
      threads_.insert(thread);
      if (killed_) {
        kill(thread, SIGKILL);
      } else {
        OnStop(thread, status);
      }
    }
    return result;
  }
  uint64_t count() const { return count_; }

 private:
  void OnStop(pid_t thread, int status) {
    const int event = status >> 16;
    const int signal = WSTOPSIG(status);
    if (event == PTRACE_EVENT_SECCOMP) {
      OnCall(thread);
    } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
      ptrace(PTRACE_LISTEN, thread, nullptr, nullptr);  // stopped by a SIGSTOP of its own
    } else if (event == 0 && signal == (SIGTRAP | 0x80)) {
      KillAll();  // the call after which all ends has returned
    } else {
      ptrace(PTRACE_CONT, thread, nullptr, event == 0 ? signal : 0);
    }
  }

  void OnCall(pid_t thread) {
    const std::optional<TracedCall> call = TracedCall::Of(thread);
    if (call && call->HidesMemory()) call->Skip(0);
    if (!call || !Counts(*call)) {
      ptrace(PTRACE_CONT, thread, nullptr, nullptr);
      return;
    }
    ++count_;
    if (count_ == options_.kill_at) return KillAll();
    if (count_ == options_.fail_at) call->Skip(-options_.error);
    if (count_ == options_.short_at) call->Halve();
    // In a call that is skipped there is no stop at its end.
    ptrace(count_ == options_.kill_after ? PTRACE_SYSCALL : PTRACE_CONT, thread, nullptr, nullptr);
  }

  bool Counts(const TracedCall& call) {
    if (!armed_ && (armed_by_signal || fs::exists(*options_.arm))) armed_ = true;
    if (!armed_ || (!options_.children && call.process() != command_)) return false;
    const std::vector<fs::path> targets = call.Targets();
    bool counts = false;
    for (const fs::path& target : targets) counts = counts || IsBelow(target);
    if (!counts || !log_.is_open()) return counts;
    log_ << count_ + 1 << ' ' << call.name();
    for (const fs::path& target : targets) log_ << ' ' << target.string();
    log_ << std::endl;
    return true;
  }
  bool IsBelow(const fs::path& path) const {
    for (const fs::path& folder : options_.below) {
      if (path == folder || path.string().starts_with(folder.string() + "/")) return true;
    }
    return false;
  }

  void KillAll() {
    killed_ = true;
    for (const pid_t thread : threads_) kill(thread, SIGKILL);
  }

  const Options options_;
  pid_t command_ = 0;
  std::set<pid_t> threads_;
  uint64_t count_ = 0;
  bool armed_;
  bool killed_ = false;
  std::ofstream log_;
};

// In the child. `ready` is closed at its other end once the tracer has hold of it.
[[noreturn]] void BecomeCommand(char** command, int ready) {
  char byte = 0;
  [[maybe_unused]] const ssize_t nothing = read(ready, &byte, 1);
  close(ready);
  setenv("ASAN_OPTIONS", "detect_leaks=0", 0);  // the leak sanitizer would trace by itself
  std::vector<sock_filter> filter = TraceFilter();
  const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
  // A privileged tracer leaves set-user-ID programs as they are.
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0 &&
      (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)) {
    _exit(126);
  }
  execvp(command[0], command);
  _exit(127);
}

pid_t Start(char** command) {
  std::array<int, 2> ready{};
  if (pipe(ready.data()) != 0) Die("no pipe");
  const pid_t child = fork();
  if (child < 0) Die("no process");
  if (child == 0) {
    close(ready[1]);
    BecomeCommand(command, ready[0]);
  }
  constexpr unsigned long kOptions = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE |
                                     PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |
                                     PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SEIZE, child, nullptr, kOptions) != 0) {
    kill(child, SIGKILL);
    Die(std::string("cannot trace: ") + std::strerror(errno));
  }
  close(ready[0]);
  close(ready[1]);
  return child;
}

uint64_t Number(const char* text) {
  char* end = nullptr;
  const uint64_t number = std::strtoull(text, &end, 10);
  if (number == 0 || *end != '\0') Die(std::string("not a number from 1: ") + text);
  return number;
}

int ErrorNumber(std::string_view name) {
  for (int number = 1; number < 200; ++number) {
    const char* known = strerrorname_np(number);
    if (known != nullptr && name == known) return number;
  }
  Die("no such error: " + std::string(name));
}

fs::path Folder(const char* name) {
  std::error_code error;
  fs::path path = fs::canonical(name, error);
  if (error) Die("no such folder: " + std::string(name));
  return path;
}

Options Parse(int argc, char** argv) {
  static const std::array<option, 11> kNames = {{{"below", required_argument, nullptr, 'b'},
                                                 {"count", no_argument, nullptr, 'c'},
                                                 {"children", no_argument, nullptr, 'C'},
                                                 {"kill-at", required_argument, nullptr, 'k'},
                                                 {"kill-after", required_argument, nullptr, 'K'},
                                                 {"fail-at", required_argument, nullptr, 'f'},
                                                 {"errno", required_argument, nullptr, 'e'},
                                                 {"short-at", required_argument, nullptr, 's'},
                                                 {"arm", required_argument, nullptr, 'a'},
                                                 {"log", required_argument, nullptr, 'l'},
                                                 {nullptr, 0, nullptr, 0}}};
  Options options;
  for (int key = 0; (key = getopt_long(argc, argv, "+", kNames.data(), nullptr)) != -1;) {
    if (key == 'b') options.below.push_back(Folder(optarg));
    if (key == 'c') options.count = true;
    if (key == 'C') options.children = true;
    if (key == 'k') options.kill_at = Number(optarg);
    if (key == 'K') options.kill_after = Number(optarg);
    if (key == 'f') options.fail_at = Number(optarg);
    if (key == 'e') options.error = ErrorNumber(optarg);
    if (key == 's') options.short_at = Number(optarg);
    if (key == 'a') options.arm = optarg;
    if (key == 'l') options.log = optarg;
    if (key == '?') std::exit(2);
  }
  options.command = argv + optind;
  if (options.below.empty() || options.command[0] == nullptr) Die("needs --below and a command");
  return options;
}

}  // namespace

int Main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  struct sigaction action{};
  action.sa_handler = OnSignal;
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) sigaction(signal, &action, nullptr);
  Tracer tracer(options);
  command_process = Start(options.command);
  const int status = tracer.Run(command_process);
  if (options.count) std::printf("%llu\n", static_cast<unsigned long long>(tracer.count()));
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace keyward::testing_support

int main(int argc, char** argv) { return keyward::testing_support::Main(argc, argv); }
