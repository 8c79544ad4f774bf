// Which backup a service was restored from: the file `restored` in the state directory, from the
// keyd that restored it to the one that serves it first, whose audit log tells of it. No secret.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/result.h"

namespace keyward {

struct RestoreMark {
  std::string id;    // the backup's, hex
  WallTime created;  // when it was made
  uint64_t epoch;    // of the store that it was made of
};

// Errors: kIo.
Result<void> WriteRestoreMark(const std::filesystem::path& state_directory,
                              const RestoreMark& mark);
// Nothing when there is none. Errors: kIo, kMalformed.
Result<std::optional<RestoreMark>> ReadRestoreMark(const std::filesystem::path& state_directory);
// It is told. Errors: kIo.
Result<void> RemoveRestoreMark(const std::filesystem::path& state_directory);
// A restore, or another beginning of a service, comes to nothing or begins anew: the mark goes,
// unless a master key was made, whose service it tells of. Errors: kIo.
Result<void> RemoveRestoreMarkUnlessMade(const std::filesystem::path& state_directory);

}  // namespace keyward
