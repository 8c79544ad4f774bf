// Running keyd itself, for what has to be done while no keyd serves.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"

namespace keyward::keyctl {

// Runs the keyd that belongs to this keyctl with `arguments`, as the owner of `state_directory`, to
// its end. Root alone can become another user. Errors: what keyd says, kNotFound (no such folder,
// or no keyd beside this program), kPermissionDenied, kIo.
Result<void> RunKeyd(const std::vector<std::string>& arguments, const std::string& state_directory);

}  // namespace keyward::keyctl
