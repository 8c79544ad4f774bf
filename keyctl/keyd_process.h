// Running keyd itself, for what has to be done while no keyd serves.
#pragma once

#include <string>

#include "core/result.h"
#include "keyctl/environment.h"

namespace keyward::keyctl {

// Runs the keyd that belongs to this keyctl, as the owner of the state directory, to its end, and
// gives what it has printed. Root alone can become another user. Errors: what keyd says, kNotFound
// (no such folder, or no keyd beside this program), kPermissionDenied, kIo.
Result<std::string> RunKeyd(const KeydCall& call);

}  // namespace keyward::keyctl
