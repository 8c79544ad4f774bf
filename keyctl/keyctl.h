// The whole program behind main(), in an environment of the caller's choosing.
#pragma once

#include <string>
#include <vector>

#include "keyctl/environment.h"
#include "keyctl/exit_code.h"

namespace keyward::keyctl {

// `arguments` are those after the program's name. Prints to the environment's streams.
ExitCode RunKeyctl(const std::vector<std::string>& arguments, Environment& environment);

}  // namespace keyward::keyctl
