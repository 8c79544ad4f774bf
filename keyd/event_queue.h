// Audit events of other threads, on their way to the bus thread that records them.
#pragma once

#include <algorithm>
#include <deque>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

#include "audit/event.h"

namespace keyward {

// Any thread may call.
class EventQueue {
 public:
  void Push(audit::Event event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  // The oldest, in their order.
  std::vector<audit::Event> Take(size_t at_most) {
    const std::lock_guard lock(mutex_);
    const auto end = events_.begin() + static_cast<ptrdiff_t>(std::min(events_.size(), at_most));
    std::vector<audit::Event> taken(std::make_move_iterator(events_.begin()),
                                    std::make_move_iterator(end));
    events_.erase(events_.begin(), end);
    return taken;
  }

 private:
  std::mutex mutex_;
  std::deque<audit::Event> events_;
};

}  // namespace keyward
