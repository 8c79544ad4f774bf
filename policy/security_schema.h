// What security.yaml may say: from its tree to the settings of a Policy.
#pragma once

#include "policy/diagnostic.h"
#include "policy/name_resolver.h"
#include "policy/policy.h"
#include "policy/yaml_node.h"

namespace keyward::policy {

// Adds every problem to `problems`; if it added any, the settings are not to be used.
Policy::Settings ReadSettings(const YamlNode& root, const NameResolver& names,
                              Diagnostics& problems);

}  // namespace keyward::policy
