#include "core/timestamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace keyward {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd.dddZ";
static_assert(kShape.size() == kTimestampSize);

bool HasShape(std::string_view text) {
  if (text.size() != kShape.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kShape[i] == 'd' ? !digit : text[i] != kShape[i]) return false;
  }
  return true;
}

int Number(std::string_view digits) {
  int number = 0;
  for (const char c : digits) number = 10 * number + (c - '0');
  return number;
}

}  // namespace

std::string FormatTimestamp(WallTime time) {
  const WallTime bounded = std::clamp(time, kEarliest, kLatest);
  const auto day = std::chrono::floor<std::chrono::days>(bounded);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(bounded - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::optional<WallTime> ParseTimestamp(std::string_view text) {
  if (!HasShape(text)) return std::nullopt;
  const std::chrono::year_month_day date{
      std::chrono::year(Number(text.substr(0, 4))),
      std::chrono::month(static_cast<unsigned>(Number(text.substr(5, 2)))),
      std::chrono::day(static_cast<unsigned>(Number(text.substr(8, 2))))};
  const int hours = Number(text.substr(11, 2));
  const int minutes = Number(text.substr(14, 2));
  const int seconds = Number(text.substr(17, 2));
  if (!date.ok() || hours > 23 || minutes > 59 || seconds > 59) return std::nullopt;
  const WallTime time = std::chrono::sys_days(date) + std::chrono::hours(hours) +
                        std::chrono::minutes(minutes) + std::chrono::seconds(seconds) +
                        milliseconds(Number(text.substr(20, 3)));
  if (time < kEarliest) return std::nullopt;
  return time;
}

}  // namespace keyward
