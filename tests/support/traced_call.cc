#include "tests/support/traced_call.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "core/unique_fd.h"

namespace keyward::testing_support {
namespace {

namespace fs = std::filesystem;

constexpr int kNone = -1;

// Where the arguments are. A call without a path is about the descriptor in argument 0; a path
// without a folder is relative to the working directory.
struct Form {
  long number;
  const char* name;
  int path = kNone;
  int folder = kNone;
  int second_path = kNone;
  int second_folder = kNone;
  int open_flags = kNone;
};

constexpr auto kForms = std::to_array<Form>({
    {SYS_write, "write"},
    {SYS_pwrite64, "pwrite64"},
    {SYS_writev, "writev"},
    {SYS_pwritev, "pwritev"},
    {SYS_sendto, "sendto"},
    {SYS_sendmsg, "sendmsg"},
    {SYS_fsync, "fsync"},
    {SYS_fdatasync, "fdatasync"},
    {SYS_ftruncate, "ftruncate"},
    {SYS_fallocate, "fallocate"},
    {SYS_truncate, "truncate", 0},
    {SYS_openat, "openat", 1, 0, kNone, kNone, 2},
    {SYS_mkdirat, "mkdirat", 1, 0},
    {SYS_unlinkat, "unlinkat", 1, 0},
    {SYS_linkat, "linkat", 3, 2},
    {SYS_renameat2, "renameat2", 1, 0, 3, 2},
#ifdef SYS_renameat
    {SYS_renameat, "renameat", 1, 0, 3, 2},
#endif
#ifdef SYS_open  // newer architectures have only the *at calls
    {SYS_open, "open", 0, kNone, kNone, kNone, 1},
    {SYS_creat, "creat", 0},
    {SYS_mkdir, "mkdir", 0},
    {SYS_rmdir, "rmdir", 0},
    {SYS_unlink, "unlink", 0},
    {SYS_link, "link", 1},
    {SYS_rename, "rename", 0, kNone, 1},
#endif
    {SYS_prctl, "prctl"},
});

const Form& FormOf(long number) { return *std::ranges::find(kForms, number, &Form::number); }

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

// Changes the general registers of a stopped thread. One that was killed meanwhile needs no change.
template <class Change>
void WithRegisters(pid_t thread, Change change) {
  user_regs_struct registers{};
  iovec area = {&registers, sizeof(registers)};
  if (ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &area) != 0) return;
  change(registers);
  ptrace(PTRACE_SETREGSET, thread, NT_PRSTATUS, &area);
}

pid_t ProcessOf(pid_t thread) {
  std::ifstream status("/proc/" + std::to_string(thread) + "/status");
  constexpr std::string_view kKey = "Tgid:";
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kKey))
      return static_cast<pid_t>(std::strtol(line.c_str() + kKey.size(), nullptr, 10));
  }
  return thread;
}

}  // namespace

std::vector<sock_filter> TraceFilter() {
  std::vector<sock_filter> filter = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  for (const Form& form : kForms) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(form.number), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return filter;
}

std::optional<TracedCall> TracedCall::Of(pid_t thread) {
  __ptrace_syscall_info info{};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) <= 0 ||
      info.op != PTRACE_SYSCALL_INFO_SECCOMP) {
    return std::nullopt;
  }
  TracedCall call;
  call.thread_ = thread;
  call.process_ = ProcessOf(thread);
  call.number_ = static_cast<long>(info.seccomp.nr);
  std::ranges::copy(info.seccomp.args, call.arguments_.begin());
  call.name_ = FormOf(call.number_).name;
  return call;
}

bool TracedCall::HidesMemory() const {
  return number_ == SYS_prctl && arguments_[0] == PR_SET_DUMPABLE && arguments_[1] == 0;
}

std::vector<fs::path> TracedCall::Targets() const {
  const Form& form = FormOf(number_);
  if (number_ == SYS_prctl) return {};
  if (form.path == kNone) {
    const int descriptor = static_cast<int>(arguments_[0]);
    if (const auto peer = PeerOf(descriptor)) return {*peer};
    return {Link("fd/" + std::to_string(descriptor))};
  }
  const auto flags = form.open_flags == kNone
                         ? O_CREAT
                         : static_cast<int>(arguments_.at(static_cast<size_t>(form.open_flags)));
  if ((flags & (O_CREAT | O_TRUNC)) == 0) return {};
  std::vector<fs::path> targets = {PathAt(form.folder, form.path)};
  if (form.second_path != kNone) {
    targets.push_back(PathAt(form.second_folder, form.second_path));
  }
  return targets;
}

fs::path TracedCall::PathAt(int folder_argument, int path_argument) const {
  const fs::path path = Text(arguments_.at(static_cast<size_t>(path_argument)));
  const int folder = folder_argument == kNone
                         ? AT_FDCWD
                         : static_cast<int>(arguments_.at(static_cast<size_t>(folder_argument)));
  const fs::path base = Link(folder == AT_FDCWD ? "cwd" : "fd/" + std::to_string(folder));
  const fs::path whole = (base / path).lexically_normal();
  std::error_code error;
  const fs::path parent = fs::weakly_canonical(whole.parent_path(), error);
  return error ? whole : parent / whole.filename();
}

fs::path TracedCall::Link(const std::string& name) const {
  std::error_code error;
  return fs::read_symlink("/proc/" + std::to_string(thread_) + "/" + name, error);
}

// Through a copy of the descriptor: /proc does not tell peers.
std::optional<fs::path> TracedCall::PeerOf(int descriptor) const {
  if (!Link("fd/" + std::to_string(descriptor)).string().starts_with("socket:")) {
    return std::nullopt;
  }
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, process_, 0)));
  const UniqueFd socket(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), descriptor, 0)));
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  if (!socket || getpeername(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      address.sun_family != AF_UNIX || size <= offsetof(sockaddr_un, sun_path)) {
    return std::nullopt;
  }
  const size_t length = size - offsetof(sockaddr_un, sun_path);
  return fs::path(std::string(address.sun_path, strnlen(address.sun_path, length)));
}

// A path of the thread's memory; read to the end of a page at a time, as the next may not be there.
std::string TracedCall::Text(uint64_t address) const {
  constexpr uint64_t kStep = 4096;
  std::string text;
  while (text.size() < PATH_MAX) {
    std::array<char, kStep> part{};
    const uint64_t from = address + text.size();
    iovec local = {part.data(), kStep - from % kStep};
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address of another process
    iovec remote = {reinterpret_cast<void*>(from), local.iov_len};
    const ssize_t size = process_vm_readv(thread_, &local, 1, &remote, 1, 0);
    if (size <= 0) break;
    const std::string_view read(part.data(), static_cast<size_t>(size));
    text.append(read.substr(0, read.find('\0')));
    if (read.contains('\0')) break;
  }
  return text;
}

void TracedCall::Skip(long result) const {
  WithRegisters(thread_, [result](user_regs_struct& registers) {
#if defined(__x86_64__)
    registers.orig_rax = static_cast<unsigned long long>(-1);
    registers.rax = static_cast<unsigned long long>(result);
#elif defined(__aarch64__)
    registers.regs[0] = static_cast<unsigned long long>(result);
#endif
  });
#if defined(__aarch64__)
  int no_call = -1;
  iovec area = {&no_call, sizeof(no_call)};
  ptrace(PTRACE_SETREGSET, thread_, NT_ARM_SYSTEM_CALL, &area);
#endif
}

bool TracedCall::Halve() const {
  if (number_ != SYS_write && number_ != SYS_pwrite64) return false;
  WithRegisters(thread_, [half = (arguments_[2] + 1) / 2](user_regs_struct& registers) {
#if defined(__x86_64__)
    registers.rdx = half;
#elif defined(__aarch64__)
    registers.regs[2] = half;
#endif
  });
  return true;
}

}  // namespace keyward::testing_support
