// Times as text.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"

namespace keyward {

inline constexpr size_t kTimestampSize = 24;

// What can be written: the years 1970 to 9999.
inline constexpr WallTime kEarliest{std::chrono::milliseconds(0)};
inline constexpr WallTime kLatest{std::chrono::milliseconds(253'402'300'799'999)};

// RFC 3339 in UTC, with milliseconds: "2025-06-15T15:06:40.000Z". What cannot be written becomes
// the nearest that can.
std::string FormatTimestamp(WallTime time);
// Exactly that form. Nothing for another, or for a day that no calendar has.
std::optional<WallTime> ParseTimestamp(std::string_view text);

}  // namespace keyward
