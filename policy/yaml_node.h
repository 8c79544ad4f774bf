// A YAML document as plain data, with the place of everything in it.
#pragma once

#include <string>
#include <vector>

#include "policy/diagnostic.h"

namespace keyward::policy {

struct YamlNode {
  enum class Kind : uint8_t { kEmpty, kText, kList, kMap };

  Kind kind = Kind::kEmpty;
  Place place;
  std::string text;                // kText
  std::vector<YamlNode> children;  // kList in order; kMap with `key` set and unique

  std::string key;
  Place key_place;
};

}  // namespace keyward::policy
