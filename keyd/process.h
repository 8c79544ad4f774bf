// What keyd does to its own process before it touches a secret.
#pragma once

#include <string>

#include "core/result.h"
#include "core/unique_fd.h"

namespace keyward {

// No core dumps, no ptrace by the own user, files for the own user alone, no SIGPIPE, no
// SIGXFSZ; as many descriptors as may be had. Errors: kInternal.
Result<void> HardenProcess();

// Locks `directory` for this process, so that a second keyd on the same state stops before it does
// harm. Held as long as the result lives. Errors: kIo, kAlreadyExists.
Result<UniqueFd> LockDirectory(const std::string& directory);

// A descriptor that is readable when SIGTERM, SIGINT or SIGHUP came; blocks them for every thread
// made after. Errors: kInternal.
Result<UniqueFd> CatchSignals();
// The signal that came, or 0.
int ReadSignal(const UniqueFd& signals);

// The text of a small file. Errors: kIo, kTooLarge.
Result<std::string> ReadTextFile(const std::string& path, size_t max_size);

}  // namespace keyward
