// The modules' own transport: a Unix stream socket that Keyward knows nothing of.
#pragma once

#include <string>

#include "core/result.h"
#include "core/unique_fd.h"

namespace keyward::example {

// Listens at `path` (mode 0666: the session is what authenticates) and takes one connection.
Result<UniqueFd> AcceptOne(const std::string& path);
Result<UniqueFd> ConnectTo(const std::string& path);

}  // namespace keyward::example
