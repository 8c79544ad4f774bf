// What is too large for a message travels in a memory file beside it.
#pragma once

#include <span>

#include "core/bytes.h"
#include "core/result.h"
#include "core/unique_fd.h"

namespace keyward {

// A memory file that holds `parts` one after the other. Errors: kIo.
Result<UniqueFd> WriteMemfd(std::span<const ByteView> parts);

// Copies the first `size` bytes out, so that the sender cannot change them afterwards. Errors:
// kMalformed (no memory file, which could make the reader wait for ever, or a shorter one).
Result<void> ReadMemfd(int fd, size_t size, Bytes& out);
// All of it. Errors also: kTooLarge (over `max_size`).
Result<Bytes> ReadWholeMemfd(int fd, size_t max_size);

}  // namespace keyward
