// Audit events of other threads, on their way to the bus thread that records them.
#pragma once

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
  std::vector<audit::Event> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<audit::Event> events_;
};

}  // namespace keyward
