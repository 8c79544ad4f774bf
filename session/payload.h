// Typed signing: whether bytes are what the purpose they are to be signed for demands.
#pragma once

#include "core/algorithm.h"
#include "core/bytes.h"
#include "core/purpose.h"
#include "core/result.h"

namespace keyward::session {

inline constexpr size_t kMaxRawPayload = size_t{64} * 1024;  // bytes

// tls13-server, tls13-client: 64 spaces, the role's context string, a zero byte and a transcript
// hash of 32 or 48 bytes (RFC 8446, 4.4.3). raw: 1..kMaxRawPayload bytes that do not begin as
// anything that another purpose signs. aico: refused, because keyd builds those transcripts itself.
// Errors: kMalformed, kTooLarge, kUnknownPurpose.
Result<void> CheckPayload(Purpose purpose, ByteView payload);

}  // namespace keyward::session
