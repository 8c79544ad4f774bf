// Names in security.yaml.
#pragma once

#include <string_view>

#include "core/name_rules.h"

namespace keyward::policy {

using keyward::IsName;
using keyward::kMaxNameSize;
using keyward::kNameRule;

// The key that the daemon itself signs with. No module may have it, and no admin make one.
inline constexpr std::string_view kServiceKeyName = "keyward-service";

}  // namespace keyward::policy
