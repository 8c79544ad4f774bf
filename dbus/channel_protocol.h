// The protocol behind a handle: what keyd and its clients say over a SOCK_SEQPACKET channel.
//
// One packet, one message: a header of 16 bytes, then the body. Requests carry an id of the
// client's choosing, which the reply repeats; many may be in flight, and replies come in the order
// in which the work ends. docs/PROTOCOLS.md has the whole of it. All integers are big-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"

namespace keyward::channel {

inline constexpr uint8_t kVersion = 1;
inline constexpr size_t kHeaderSize = 16;
// A longer body travels in a memfd beside the packet (kBodyInMemfd).
inline constexpr size_t kMaxInlineBody = size_t{96} * 1024;
// 16 MiB of message, and room for frame and metadata.
inline constexpr size_t kMaxBody = size_t{16} * 1024 * 1024 + size_t{64} * 1024;
// Requests that one channel may have unanswered; more get kBusy.
inline constexpr size_t kMaxInFlight = 64;

enum class Opcode : uint8_t {
  // Session channels.
  kStep = 1,        // handshake message in -> u8 established, message out
  kSeal = 2,        // u32 length and metadata (JSON object or empty), plaintext -> frame
  kOpen = 3,        // frame -> u32 length and metadata, plaintext
  kRekey = 4,       // empty -> empty
  kClose = 5,       // empty -> empty; then keyd closes
  kToken = 6,       // empty -> token
  kCheckToken = 7,  // token -> u64 session, u32 seconds left, u8 length and module
  // Key channels.
  kSign = 16,  // u8 length and purpose, payload -> signature
  // From keyd alone, request id 0.
  kClosed = 128,  // status and body say why, as in a failed reply; the channel closes after it
};

inline constexpr uint16_t kBodyInMemfd = 1;  // flag

struct Header {
  Opcode opcode{};
  uint16_t status = 0;  // replies: 0 or an ErrorCode; requests: 0
  uint32_t request_id = 0;
  uint32_t body_size = 0;  // bytes
  uint16_t flags = 0;
};

// Offsets: version 0, opcode 1, status 2, request id 4, body size 8, flags 12, reserved (zero) 14.
void EncodeHeader(const Header& header, std::span<uint8_t, kHeaderSize> out);
// Errors: kMalformed (short, unknown version or flag), kTooLarge (body size). An unknown opcode
// passes: the one who serves answers kInvalidArgument to it.
Result<Header> DecodeHeader(ByteView packet);

// The body of a reply whose status is not 0: u8 action, u32 retry-after in milliseconds, then the
// message as text.
Bytes EncodeError(const Error& error);
// Never fails: what does not parse becomes a kInternal.
Error DecodeError(uint16_t status, ByteView body);

}  // namespace keyward::channel
