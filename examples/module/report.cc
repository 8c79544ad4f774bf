#include "examples/module/report.h"

#include <fmt/core.h>

#include <cstdio>
#include <nlohmann/json.hpp>

namespace keyward::example {

void Report::Say(std::string_view event, std::string_view sentence, std::string_view detail) const {
  if (json_) {
    const nlohmann::json line{{"event", event}, {"message", sentence}, {"detail", detail}};
    fmt::print("{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    fmt::print("{}\n", sentence);
  }
  std::fflush(stdout);
}

std::string Since(std::chrono::steady_clock::time_point start) {
  const std::chrono::duration<double, std::milli> past = std::chrono::steady_clock::now() - start;
  return fmt::format("{:.1f} ms", past.count());
}

}  // namespace keyward::example
