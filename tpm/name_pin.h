// Trust on first use: which TPM this installation belongs to.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "core/bytes.h"
#include "core/result.h"

namespace keyward::tpm {

inline constexpr std::string_view kNamePinFile = "tpm-primary-name";

// Gives the name of the endorsement key, where there is one to be had.
using EndorsementNameReader = std::function<Result<std::optional<Bytes>>()>;

// Compares `name`, the storage primary's, with the one in `state_directory`/tpm-primary-name (mode
// 0600; two lines of lower-case hex: the names of storage primary and endorsement key). Where there
// is no file yet, writes it: whole and synced, or not at all, and never over another. Two processes
// may do so at once; one of them wins and the other compares. The second line says whether a TPM
// with another primary is the same one, cleared. Without it, as where there was no endorsement key
// to be had, the file is as good; it is added once the first line matches and there is one.
// `endorsement` is asked only where its answer matters: making the key takes a TPM up to a second.
// Errors: kCustodianReplaced, kCustodianCleared, kDataCorrupt (the file holds no names), kIo, and
// those of `endorsement`.
Result<void> CheckOrPinName(const std::filesystem::path& state_directory, ByteView name,
                            const EndorsementNameReader& endorsement);

}  // namespace keyward::tpm
