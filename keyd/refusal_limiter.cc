#include "keyd/refusal_limiter.h"

#include <utility>

namespace keyward {

RefusalLimiter::Window& RefusalLimiter::WindowOf(const Caller& caller, MonotonicTime now) {
  const bool room = windows_.contains(caller) || windows_.size() < kMaxCallers;
  Window& window = windows_[room ? caller : std::nullopt];
  // One that is over and has something to tell waits for Summaries.
  if (now >= window.end && window.counted == 0) window = {.end = now + kWindow, .last = {}};
  return window;
}

bool RefusalLimiter::Admit(const audit::Event& event, MonotonicTime now) {
  if (now >= all_end_) {
    all_end_ = now + kWindow;
    all_passed_ = 0;
  }
  Window& window = WindowOf(event.caller, now);
  if (window.passed < kOfOneCaller && all_passed_ < kOfAll) {
    ++window.passed;
    ++all_passed_;
    return true;
  }
  CountIn(window, event);
  return false;
}

void RefusalLimiter::CountIn(Window& window, const audit::Event& event) {
  ++window.counted;
  window.last = event;
}

std::vector<audit::Event> RefusalLimiter::Summaries(MonotonicTime now, bool all) {
  std::vector<audit::Event> summaries;
  for (auto it = windows_.begin(); it != windows_.end();) {
    Window& window = it->second;
    if (!all && now < window.end) {
      ++it;
      continue;
    }
    if (window.last) {
      window.last->detail = {{"refusals", window.counted}};
      summaries.push_back(std::move(*window.last));
    }
    it = windows_.erase(it);
  }
  return summaries;
}

}  // namespace keyward
