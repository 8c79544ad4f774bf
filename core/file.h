// Small files, whole: read with a bound, and replaced so that nobody ever finds half of one.
#pragma once

#include <filesystem>
#include <optional>

#include "core/bytes.h"
#include "core/result.h"

namespace keyward {

// Errors of all: kIo, with the path and the system's reason as cause.

// The whole file, or nothing when there is none. Does not wait for a pipe in its place. Errors
// also: kTooLarge (over `max_size` bytes).
Result<std::optional<Bytes>> ReadFile(const std::filesystem::path& path, size_t max_size);

Result<bool> FileExists(const std::filesystem::path& path);

// Mode 0600. On disk, with its name, when it returns; after an error or a crash the file is as it
// was before, or whole.
Result<void> ReplaceFile(const std::filesystem::path& path, ByteView contents);

// The same where there is no file yet. False when there is one, which stays.
Result<bool> CreateFile(const std::filesystem::path& path, ByteView contents);

// A process that is killed while it writes a file may leave a draft beside it: its name, `.draft.`
// and six letters or digits. Removes the regular files of the own user that are so called, and
// gives how many. For a folder of one's own that nobody writes to meanwhile.
Result<size_t> RemoveDrafts(const std::filesystem::path& folder);

// Gives a file another name in the same folder, in place of one that has it. On disk when it
// returns. A file that is not there, because it was moved before, is success.
Result<void> MoveFile(const std::filesystem::path& from, const std::filesystem::path& to);

// On disk when it returns. A file that is not there is success.
Result<void> RemoveFile(const std::filesystem::path& path);

}  // namespace keyward
