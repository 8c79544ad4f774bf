// keyd's log: lines on standard error, with the levels that journald reads (sd-daemon(3)).
#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

#include "core/error.h"

namespace keyward {

enum class LogLevel : uint8_t { kError = 3, kWarning = 4, kNotice = 5, kInfo = 6 };

// One line of ASCII, with ? for every other byte; never a secret or a payload. Any thread may call.
void LogLine(LogLevel level, std::string_view line);

template <class... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  LogLine(level, fmt::format(format, std::forward<Args>(args)...));
}

// "doing: Code: message (action) [cause]"; without a cause, no brackets.
void LogError(std::string_view doing, const Error& error, LogLevel level = LogLevel::kWarning);

}  // namespace keyward
