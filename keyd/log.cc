#include "keyd/log.h"

#include <unistd.h>

#include <algorithm>
#include <string>

namespace keyward {

void LogLine(LogLevel level, std::string_view line) {
  std::string text = fmt::format("<{}>keyd: {}", static_cast<int>(level), line);
  // A text from outside, such as a damaged file's, must not be able to write a line of its own, nor
  // keep readers from the log.
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  text.push_back('\n');
  // One write, so that lines of several threads do not mix. A log that is gone stops nobody.
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

void LogError(std::string_view doing, const Error& error, LogLevel level) {
  const std::string cause = error.cause().empty() ? "" : " [" + error.cause() + "]";
  Log(level, "{}: {}{}", doing, error.ToString(), cause);
}

}  // namespace keyward
