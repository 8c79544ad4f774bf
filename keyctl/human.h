// Times for people and for scripts.
#pragma once

#include <chrono>
#include <string>

#include "core/clock.h"

namespace keyward::keyctl {

// The two largest units: "45 s", "3 min 5 s", "2 h 10 min", "4 d 1 h".
std::string HumanDuration(std::chrono::seconds duration);
// RFC 3339 in UTC: "2025-06-15T15:06:40Z"
std::string Timestamp(WallTime time);

}  // namespace keyward::keyctl
