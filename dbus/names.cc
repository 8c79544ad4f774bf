#include "dbus/names.h"

#include <fmt/format.h>

namespace keyward::bus {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string KeyObjectPath(std::string_view key_name) {
  std::string path = std::string(kRootPath) + "/key/";
  if (key_name.empty()) return path + "_";
  for (size_t i = 0; i < key_name.size(); ++i) {
    const char c = key_name[i];
    if (IsLetter(c) || (i > 0 && IsDigit(c))) {
      path += c;
    } else {
      path += fmt::format("_{:02x}", static_cast<unsigned char>(c));
    }
  }
  return path;
}

}  // namespace keyward::bus
