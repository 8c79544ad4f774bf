// Files that an admin names on the command line.
#pragma once

#include <string>

#include "core/result.h"

namespace keyward::keyctl {

// The whole file, at most `limit` bytes. Errors: kInvalidArgument (not there, or not readable),
// kTooLarge, kIo.
Result<std::string> ReadTextFile(const std::string& path, size_t limit);

}  // namespace keyward::keyctl
