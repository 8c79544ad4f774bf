// Files that an admin names on the command line.
#pragma once

#include <functional>
#include <istream>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"
#include "core/unique_fd.h"

namespace keyward::keyctl {

// To be read. Errors: kInvalidArgument (not there, or not readable), kIo.
Result<UniqueFd> OpenFile(const std::string& path);

// The whole file, at most `limit` bytes. Errors: kInvalidArgument (not there, or not readable),
// kTooLarge, kIo.
Result<std::string> ReadTextFile(const std::string& path, size_t limit);

// Hands over the file, or for "-" all of `in`, chunk by chunk, until `take` does not want more.
// Errors: kInvalidArgument (not there, or not readable), kIo.
Result<void> ReadChunks(const std::string& path, std::istream& in,
                        const std::function<bool(std::string_view)>& take);

// That `path` can be written: it is no file yet, or with `replace` a regular one, in a folder that
// is there. To be asked before the work whose outcome goes there. Errors: kAlreadyExists,
// kInvalidArgument.
Result<void> CheckOutput(const std::string& path, bool replace);

// Makes the file, mode 0600, whole or not at all. Errors: those of CheckOutput, kIo.
Result<void> WriteOutput(const std::string& path, ByteView contents, bool replace);

}  // namespace keyward::keyctl
