#include "keyd/process.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace keyward {
namespace {

std::unexpected<Error> Failed(ErrorCode code, const std::string& what) {
  return Fail(Error(code, what + ": " + std::strerror(errno)).WithAction(Action::kAskAdmin));
}

}  // namespace

Result<void> HardenProcess() {
  umask(077);
  const rlimit no_core{0, 0};
  rlimit files{};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
      signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGXFSZ, SIG_IGN) == SIG_ERR ||
      getrlimit(RLIMIT_NOFILE, &files) != 0) {
    return Failed(ErrorCode::kInternal, "hardening the process");
  }
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
    return Failed(ErrorCode::kInternal, "raising the limit on descriptors");
  }
  return {};
}

Result<UniqueFd> LockDirectory(const std::string& directory) {
  UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info{};
  if (!fd || fstat(fd.get(), &info) != 0) {
    return Failed(ErrorCode::kIo, "the state directory " + directory +
                                      " must be there and belong to keyd's user, with mode 0700");
  }
  if (info.st_uid != geteuid() || (info.st_mode & 077) != 0) {
    return Fail(ErrorCode::kConfiguration,
                "the state directory " + directory + " must belong to keyd's user, with mode 0700");
  }
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Failed(ErrorCode::kIo, "locking " + directory);
    return Fail(ErrorCode::kAlreadyExists, "another keyd uses the state directory " + directory);
  }
  return fd;
}

Result<UniqueFd> CatchSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) {
    return Failed(ErrorCode::kInternal, "blocking signals");
  }
  UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return Failed(ErrorCode::kInternal, "signalfd");
  return fd;
}

int ReadSignal(const UniqueFd& signals) {
  signalfd_siginfo info{};
  const ssize_t got = read(signals.get(), &info, sizeof(info));
  return got == sizeof(info) ? static_cast<int>(info.ssi_signo) : 0;
}

Result<std::string> ReadTextFile(const std::string& path, size_t max_size) {
  // A pipe in its place that nobody writes to is empty, and does not hold the daemon up.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return Failed(ErrorCode::kIo, "cannot read " + path);
  std::string text(max_size + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(ErrorCode::kIo, "cannot read " + path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > max_size) return Fail(ErrorCode::kTooLarge, path + " is too large");
  text.resize(size);
  return text;
}

}  // namespace keyward
