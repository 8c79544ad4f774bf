#include "examples/module/signals.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace keyward::example {

Signals::Signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  if (pthread_sigmask(SIG_BLOCK, &set, &before_) != 0) std::abort();
  descriptor_ = UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!descriptor_) std::abort();  // out of descriptors before anything began
}

// What came is taken, or it would strike as soon as it is let through again.
Signals::~Signals() {
  signalfd_siginfo taken{};
  while (read(descriptor_.get(), &taken, sizeof(taken)) > 0) {
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

bool Signals::WaitForInput(int other) const {
  std::array<pollfd, 2> entries{pollfd{descriptor_.get(), POLLIN, 0}, pollfd{other, POLLIN, 0}};
  while (poll(entries.data(), entries.size(), -1) < 0 && errno == EINTR) {
  }
  return entries[0].revents == 0;
}

}  // namespace keyward::example
