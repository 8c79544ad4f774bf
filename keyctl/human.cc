#include "keyctl/human.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <string_view>

namespace keyward::keyctl {
namespace {

struct Unit {
  int64_t seconds;
  std::string_view name;
};

constexpr std::array kUnits = {Unit{86400, "d"}, Unit{3600, "h"}, Unit{60, "min"}, Unit{1, "s"}};

}  // namespace

std::string HumanDuration(std::chrono::seconds duration) {
  int64_t rest = duration.count();
  for (size_t i = 0; i < kUnits.size(); ++i) {
    if (rest < kUnits[i].seconds) continue;
    std::string text = fmt::format("{} {}", rest / kUnits[i].seconds, kUnits[i].name);
    rest %= kUnits[i].seconds;
    if (i + 1 == kUnits.size() || rest < kUnits[i + 1].seconds) return text;
    return text + fmt::format(" {} {}", rest / kUnits[i + 1].seconds, kUnits[i + 1].name);
  }
  return "0 s";
}

std::string Timestamp(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

}  // namespace keyward::keyctl
