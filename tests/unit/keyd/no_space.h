// A disk without room, as keyd sees it.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

namespace keyward::testing_support {

// While it lives, no file of this process grows.
class NoSpace {
 public:
  NoSpace() : old_(std::signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit none{.rlim_cur = 1, .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  }
  NoSpace(const NoSpace&) = delete;
  NoSpace& operator=(const NoSpace&) = delete;
  ~NoSpace() {
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before_), 0);
    EXPECT_NE(std::signal(SIGXFSZ, old_), SIG_ERR);
  }

 private:
  rlimit before_{};
  void (*old_)(int);
};

}  // namespace keyward::testing_support
