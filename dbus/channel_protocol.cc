#include "dbus/channel_protocol.h"

#include <algorithm>

#include "core/encoding.h"

namespace keyward::channel {

void EncodeHeader(const Header& header, std::span<uint8_t, kHeaderSize> out) {
  const Bytes bytes = Writer()
                          .Integer(kVersion)
                          .Integer(static_cast<uint8_t>(header.opcode))
                          .Integer(header.status)
                          .Integer(header.request_id)
                          .Integer(header.body_size)
                          .Integer(header.flags)
                          .Integer(uint16_t{0})
                          .Take();
  std::ranges::copy(bytes, out.begin());
}

Result<Header> DecodeHeader(ByteView packet) {
  Reader reader(packet);
  KEYWARD_ASSIGN(const uint8_t version, reader.Integer<uint8_t>());
  if (version != kVersion) return Fail(ErrorCode::kMalformed, "unknown channel version");
  Header header;
  KEYWARD_ASSIGN(const uint8_t opcode, reader.Integer<uint8_t>());
  header.opcode = static_cast<Opcode>(opcode);
  KEYWARD_ASSIGN(header.status, reader.Integer<uint16_t>());
  KEYWARD_ASSIGN(header.request_id, reader.Integer<uint32_t>());
  KEYWARD_ASSIGN(header.body_size, reader.Integer<uint32_t>());
  KEYWARD_ASSIGN(header.flags, reader.Integer<uint16_t>());
  KEYWARD_ASSIGN(const uint16_t reserved, reader.Integer<uint16_t>());
  if (reserved != 0 || (header.flags & ~kBodyInMemfd) != 0) {
    return Fail(ErrorCode::kMalformed, "unknown flag");
  }
  if (header.body_size > kMaxBody) return Fail(ErrorCode::kTooLarge, "the body is over 16 MiB");
  return header;
}

Bytes EncodeError(const Error& error) {
  return Writer()
      .Integer(static_cast<uint8_t>(error.action()))
      .Integer(error.retry_after_ms())
      .Raw(AsBytes(error.message()))
      .Take();
}

Error DecodeError(uint16_t status, ByteView body) {
  const ErrorCode code = ErrorCodeFromNumber(status).value_or(ErrorCode::kInternal);
  Reader reader(body);
  const Result<uint8_t> action = reader.Integer<uint8_t>();
  const Result<uint32_t> retry_after = reader.Integer<uint32_t>();
  if (!action || !retry_after || *action < 1 || *action > static_cast<uint8_t>(Action::kUnseal)) {
    return {ErrorCode::kInternal, "keyd answered with an error that does not parse"};
  }
  return Error(code, std::string(AsText(reader.Rest())))
      .WithAction(static_cast<Action>(*action))
      .WithRetryAfter(*retry_after);
}

}  // namespace keyward::channel
