// Why keyd last ended by itself: the file `stopped-because` in its state directory, for whoever
// asks while no keyd runs. No secret; nothing depends on it.
#pragma once

#include <filesystem>
#include <optional>

#include "core/result.h"

namespace keyward {

// One line, "Code message"; without the cause. Errors: kIo.
Result<void> WriteLastFailure(const std::filesystem::path& state_directory, const Error& error);
// Nothing when there is none. Errors: kIo, kMalformed.
Result<std::optional<Error>> ReadLastFailure(const std::filesystem::path& state_directory);
// keyd starts anew. Errors: kIo.
Result<void> ForgetLastFailure(const std::filesystem::path& state_directory);

}  // namespace keyward
