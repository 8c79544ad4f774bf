// What modules, keys and peers may be called.
#pragma once

#include <string_view>

namespace keyward {

inline constexpr size_t kMaxNameSize = 64;

// For error messages.
inline constexpr std::string_view kNameRule =
    "1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit";

// Whether `name` is [a-z0-9][a-z0-9._-]{0,63}: safe as a file name, in a bus path and on a
// terminal.
constexpr bool IsName(std::string_view name) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > kMaxNameSize || !alphanumeric(name.front())) return false;
  for (const char c : name) {
    if (!alphanumeric(c) && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

}  // namespace keyward
