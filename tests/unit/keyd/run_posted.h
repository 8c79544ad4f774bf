// Stands in for the bus thread's loop.
#pragma once

#include <poll.h>

#include <concepts>

#include "keyd/post_queue.h"

namespace keyward::testing_support {

// Runs posted work until `reached()` holds; false when nothing was posted for half a minute.
bool RunPostedUntil(PostQueue& posts, const std::predicate auto& reached) {
  while (!reached()) {
    pollfd posted{.fd = posts.fd(), .events = POLLIN, .revents = 0};
    if (poll(&posted, 1, 30'000) != 1) return false;
    posts.RunPosted();
  }
  return true;
}

}  // namespace keyward::testing_support
