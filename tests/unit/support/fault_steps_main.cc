// Usage: fault_steps DIR COUNT [MARK]
// Makes COUNT of the thirteen calls below in DIR, each of which changes something there, and writes
// the result of each to standard output: 0 or a number of bytes, or the error, negative. Between
// them it makes calls that change nothing in DIR. DIR/socket is one that somebody listens on.
// Before the fifth it makes the file MARK, or for "signal" sends its parent SIGUSR1.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

int ConnectTo(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::ranges::copy(path, address.sun_path);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return -1;
  return fd;
}

long Opened(int& fd, int result) {
  fd = result;
  return result < 0 ? -1 : 0;
}

long InAThread(const std::function<long()>& call) {
  long result = 0;
  int error = 0;
  std::thread([&] {
    result = call();
    error = errno;
  }).join();
  errno = error;
  return result;
}

void Mark(const std::string& mark) {
  if (mark == "signal") {
    kill(getppid(), SIGUSR1);
  } else if (!mark.empty()) {
    close(open(mark.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  }
}

int Run(const std::string& folder, size_t count, const std::string& mark) {
  const std::string first = folder + "/first";
  const std::string second = folder + "/second";
  const int base = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int elsewhere = open("/dev/null", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int peer = ConnectTo(folder + "/socket");
  int a = -1;
  int b = -1;
  const std::vector<std::function<long()>> steps = {
      [&] { return Opened(a, open(first.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); },
      [&] { return write(a, "01234567", 8); },
      [&] { return pwrite(a, "AB", 2, 2); },
      [&] { return long{fsync(a)}; },
      [&] { return long{ftruncate(a, 6)}; },
      [&] { return long{rename(first.c_str(), second.c_str())}; },
      [&] { return long{mkdirat(base, "sub", 0700)}; },
      [&] { return Opened(b, openat(base, "sub/c", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); },
      [&] { return InAThread([&] { return write(b, "thread", 6); }); },
      [&] { return long{fdatasync(b)}; },
      [&] { return send(peer, "hello", 5, 0); },
      [&] { return write(peer, " you", 4); },
      [&] { return long{unlink(second.c_str())}; },
  };
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  for (size_t i = 0; i < std::min(count, steps.size()); ++i) {
    if (i == 4) Mark(mark);
    const long result = steps[i]();
    const int error = errno;
    if (write(elsewhere, "x", 1) != 1 || access(second.c_str(), F_OK) > 0) return 1;
    std::printf("%ld\n", result < 0 ? -long{error} : result);
    static_cast<void>(std::fflush(stdout));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  return Run(argv[1], std::strtoul(argv[2], nullptr, 10), argc > 3 ? argv[3] : "");
}
