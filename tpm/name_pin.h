// Trust on first use: which TPM this installation belongs to.
#pragma once

#include <filesystem>

#include "core/bytes.h"
#include "core/result.h"

namespace keyward::tpm {

inline constexpr std::string_view kNamePinFile = "tpm-primary-name";

// Compares `name` with the one in `state_directory`/tpm-primary-name (lower-case hex and a newline,
// mode 0600). Where there is none yet, writes it: whole and synced, or not at all, and never over
// another. Two processes may do so at once; one of them wins and the other compares. Errors:
// kCustodianReplaced, kDataCorrupt (the file holds no name), kIo.
Result<void> CheckOrPinName(const std::filesystem::path& state_directory, ByteView name);

}  // namespace keyward::tpm
