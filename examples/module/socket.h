// The transport of the example: a Unix stream socket of its own, on which keyd has no part.
#pragma once

#include <string>

#include "core/result.h"
#include "core/unique_fd.h"

namespace keyward::example {

// A socket at `path` that any user may connect to: who is there is settled by the handshake. One
// that an earlier run left is replaced. Errors: kInvalidArgument (too long a path), kIo.
Result<UniqueFd> Listen(const std::string& path);
// Errors: as Listen.
Result<UniqueFd> Accept(int listener);
// Errors: as Listen; kUnreachable when nobody listens.
Result<UniqueFd> Connect(const std::string& path);

}  // namespace keyward::example
