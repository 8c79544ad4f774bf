// Secrets on their way from the admin to a keyd: a recovery key, and its passphrase.
#pragma once

#include <string>

#include "core/result.h"
#include "core/secret_bytes.h"
#include "core/unique_fd.h"

namespace keyward::keyctl {

// A line that is typed at the terminal, which does not show it; at most 1024 bytes. Errors:
// kInvalidArgument (there is no terminal, nothing was typed, or too much), kIo.
Result<SecretBytes> AskSecret(const std::string& question);

// The whole file. Errors: kInvalidArgument (not there, not readable, or empty), kTooLarge, kIo.
Result<SecretBytes> ReadSecretFile(const std::string& path, size_t limit);

// A pipe that a child can read `secret` from, of at most 32 KiB. Errors: kIo.
Result<UniqueFd> PipeWith(const SecretBytes& secret);

}  // namespace keyward::keyctl
