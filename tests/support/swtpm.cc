#include "tests/support/swtpm.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <vector>

#include "core/unique_fd.h"

namespace keyward::testing_support {
namespace {

constexpr std::string_view kReadyFifo = "ready";
constexpr int kStartTimeoutMs = 30'000;

std::vector<std::string> Arguments(const std::string& folder) {
  return {"swtpm",
          "socket",
          "--tpm2",
          "--tpmstate",
          fmt::format("dir={}/state,mode=0600", folder),
          "--server",
          fmt::format("type=unixio,path={}/tpm.sock,mode=0600", folder),
          "--ctrl",
          fmt::format("type=unixio,path={}/tpm.sock.ctrl,mode=0600", folder),
          "--log",
          fmt::format("file={}/swtpm.log", folder),
          "--flags",
          "not-need-init,startup-clear",
          "--seccomp",
          "action=kill",
          "--pid",
          fmt::format("file={}/{}", folder, kReadyFifo)};
}

}  // namespace

Result<std::unique_ptr<Swtpm>> Swtpm::Start() {
  static_cast<void>(signal(SIGPIPE, SIG_IGN));  // cannot fail for a signal that exists
  // Faults that a test provokes would fill the page on which a failure is to be read.
  if (setenv("TSS2_LOG", "all+NONE", 0) != 0) return Fail(ErrorCode::kIo, "setenv");
  std::unique_ptr<Swtpm> tpm(new Swtpm());
  std::filesystem::create_directory(tpm->folder_.path() / "state");
  KEYWARD_TRY(tpm->Restart());
  return tpm;
}

std::string Swtpm::tcti() const { return "swtpm:path=" + (folder_.path() / "tpm.sock").string(); }

// swtpm writes its process id once its sockets listen. The file for it is a FIFO here, so that
// there is an event to wait for; the other one is its death.
Result<void> Swtpm::Restart() {
  const std::string fifo = (folder_.path() / kReadyFifo).string();
  unlink(fifo.c_str());
  if (mkfifo(fifo.c_str(), 0600) != 0) return Fail(ErrorCode::kIo, "mkfifo failed");
  const UniqueFd ready(open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  KEYWARD_ASSIGN(process_, ChildProcess::Start(Arguments(folder_.path().string())));
  const UniqueFd death(static_cast<int>(syscall(SYS_pidfd_open, process_.pid(), 0)));
  if (!ready || !death) return Fail(ErrorCode::kIo, "no process or descriptor to be had");
  std::array<pollfd, 2> events = {{{ready.get(), POLLIN, 0}, {death.get(), POLLIN, 0}}};
  if (poll(events.data(), events.size(), kStartTimeoutMs) <= 0 ||
      (events[0].revents & POLLIN) == 0) {
    Kill();
    return Fail(ErrorCode::kIo, "swtpm did not start; is the package swtpm installed?");
  }
  return {};
}

Result<void> Swtpm::RestartAsAnother() {
  const std::filesystem::path state = folder_.path() / "state";
  std::filesystem::remove_all(state);
  std::filesystem::create_directory(state);
  return Restart();
}

}  // namespace keyward::testing_support
