// What the example says: lines for people, or JSON lines for scripts that wait for events.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace keyward::example {

class Report {
 public:
  explicit Report(bool json) : json_(json) {}

  // One event: its name, a sentence, and one detail that scripts want (a hash, a reason, a text).
  void Say(std::string_view event, std::string_view sentence, std::string_view detail = {}) const;

 private:
  bool json_;
};

// "3.1 ms" since `start`.
std::string Since(std::chrono::steady_clock::time_point start);

}  // namespace keyward::example
