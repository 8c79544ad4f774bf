// The names of dbus/org.keyward.Keyd1.xml that its generated code leaves out.
#pragma once

#include <string>
#include <string_view>

namespace keyward::bus {

inline constexpr const char* kService = "org.keyward.Keyd1";
inline constexpr const char* kRootPath = "/org/keyward/Keyd1";
// Followed by Name(ErrorCode).
inline constexpr std::string_view kErrorPrefix = "org.keyward.Keyd1.Error.";

// /org/keyward/Keyd1/key/NAME, escaped as sd_bus_path_encode(3) does: whatever is no ASCII letter,
// and no digit past the first place, becomes '_' and two lower-case hex digits.
std::string KeyObjectPath(std::string_view key_name);

}  // namespace keyward::bus
