#include "api/session.h"

#include <sodium.h>

#include "api/channel_client.h"
#include "core/encoding.h"

namespace keyward {
namespace {

using channel::Opcode;

Result<OpenedMessage> ParseOpened(ByteView body) {
  Reader reader(body);
  KEYWARD_ASSIGN(const ByteView metadata, reader.Field<uint32_t>());
  return OpenedMessage{.plaintext = ToBytes(reader.Rest()),
                       .metadata = std::string(AsText(metadata))};
}

Bytes SealPrefix(std::string_view metadata) {
  return Writer().Field<uint32_t>(AsBytes(metadata)).Take();
}

// One that does not fit beside a message of the largest size is refused by keyd; this keeps the
// length field true.
Result<void> CheckMetadata(std::string_view metadata) {
  if (metadata.size() > channel::kMaxBody) {
    return Fail(ErrorCode::kTooLarge, "the metadata is over the limit");
  }
  return {};
}

}  // namespace

Session::Session(std::string id, Role role, std::unique_ptr<ChannelClient> channel)
    : id_(std::move(id)), role_(role), channel_(std::move(channel)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Session::Create(std::string id, Role role, UniqueFd channel) {
  KEYWARD_ASSIGN(ChannelClient client, ChannelClient::Create(std::move(channel)));
  return Session(std::move(id), role, std::make_unique<ChannelClient>(std::move(client)));
}

Result<HandshakeStep> Session::Step(ByteView input) {
  KEYWARD_ASSIGN(const Bytes body,
                 channel_->Call(Opcode::kStep, {}, input, Deadline(kDefaultTimeout)));
  Reader reader(body);
  KEYWARD_ASSIGN(const uint8_t established, reader.Integer<uint8_t>());
  return HandshakeStep{.output = ToBytes(reader.Rest()), .established = established != 0};
}

Result<void> Session::Handshake(ByteStream& stream, std::chrono::milliseconds timeout) {
  const Deadline deadline(timeout);
  bool starting = role_ == Role::kInitiator;
  while (true) {
    Bytes input;
    if (!starting) {
      KEYWARD_ASSIGN(input, ReadMessage(stream, deadline, channel::kMaxInlineBody));
    }
    starting = false;
    KEYWARD_ASSIGN(const HandshakeStep step, Step(input));
    if (!step.output.empty()) KEYWARD_TRY(WriteMessage(stream, step.output, deadline));
    if (step.established) return {};
  }
}

Result<Bytes> Session::Seal(ByteView plaintext, std::string_view metadata) {
  KEYWARD_TRY(CheckMetadata(metadata));
  return channel_->Call(Opcode::kSeal, SealPrefix(metadata), plaintext, Deadline(kDefaultTimeout));
}

Result<OpenedMessage> Session::Open(ByteView frame) {
  KEYWARD_ASSIGN(const Bytes body,
                 channel_->Call(Opcode::kOpen, {}, frame, Deadline(kDefaultTimeout)));
  return ParseOpened(body);
}

Result<std::vector<Bytes>> Session::SealMany(std::span<const ByteView> plaintexts,
                                             std::string_view metadata) {
  KEYWARD_TRY(CheckMetadata(metadata));
  return channel_->CallMany(Opcode::kSeal, SealPrefix(metadata), plaintexts,
                            Deadline(kDefaultTimeout));
}

Result<void> Session::Rekey() {
  KEYWARD_TRY(channel_->Call(Opcode::kRekey, {}, {}, Deadline(kDefaultTimeout)));
  return {};
}

Result<SecretBytes> Session::Token() {
  KEYWARD_ASSIGN(Bytes token, channel_->Call(Opcode::kToken, {}, {}, Deadline(kDefaultTimeout)));
  Result<SecretBytes> secret = SecretBytes::CopyOf(token);
  sodium_memzero(token.data(), token.size());
  return secret;
}

Result<TokenBearer> Session::CheckToken(ByteView token) {
  KEYWARD_ASSIGN(const Bytes body,
                 channel_->Call(Opcode::kCheckToken, {}, token, Deadline(kDefaultTimeout)));
  Reader reader(body);
  KEYWARD_ASSIGN(const uint64_t session, reader.Integer<uint64_t>());
  KEYWARD_ASSIGN(const uint32_t left, reader.Integer<uint32_t>());
  KEYWARD_ASSIGN(const ByteView module, reader.Field<uint8_t>());
  return TokenBearer{.session = session,
                     .module = std::string(AsText(module)),
                     .left = std::chrono::seconds(left)};
}

Result<void> Session::Close() {
  const Result<Bytes> closed = channel_->Call(Opcode::kClose, {}, {}, Deadline(kDefaultTimeout));
  channel_->Close();
  if (!closed) return Fail(closed.error());
  return {};
}

int Session::descriptor() const { return channel_->descriptor(); }

Result<void> Session::CheckOpen() { return channel_->CheckOpen(); }

}  // namespace keyward
