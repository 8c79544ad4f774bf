// How many refusals of one caller are told one by one, so that nobody fills the disk by asking for
// what is not granted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "audit/event.h"
#include "core/clock.h"

namespace keyward {

// Belongs to the bus thread. Time is monotonic. Of each caller the first few of a minute pass; the
// rest of that minute is counted. So are all beyond what passes of all callers together.
class RefusalLimiter {
 public:
  static constexpr uint32_t kOfOneCaller = 10;  // in a window
  static constexpr uint32_t kOfAll = 100;
  static constexpr size_t kMaxCallers = 1000;  // further ones are counted together
  static constexpr std::chrono::seconds kWindow{60};

  // Whether `event` is told by itself; else it is counted.
  bool Admit(const audit::Event& event, MonotonicTime now);
  // Counts `event` with those of its caller that are not told by themselves.
  void Count(const audit::Event& event, MonotonicTime now) {
    CountIn(WindowOf(event.caller, now), event);
  }
  // What was counted in windows that are over: the last such event of each caller, whose detail
  // "refusals" says how many there were. `all`: of those that are not over too.
  std::vector<audit::Event> Summaries(MonotonicTime now, bool all = false);

 private:
  struct Window {
    MonotonicTime end;
    uint32_t passed = 0;
    uint64_t counted = 0;
    std::optional<audit::Event> last;
  };
  using Caller = std::optional<uint32_t>;  // nothing: keyd itself, or one too many

  Window& WindowOf(const Caller& caller, MonotonicTime now);
  static void CountIn(Window& window, const audit::Event& event);

  std::map<Caller, Window> windows_;
  MonotonicTime all_end_;
  uint32_t all_passed_ = 0;
};

}  // namespace keyward
