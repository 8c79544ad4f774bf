#include "keyd/session_channel.h"

#include "core/encoding.h"

namespace keyward {
namespace {

using channel::Opcode;
using channel::Packet;

// A worker serves many channels: their buffers are its own, and keep their capacity.
struct Scratch {
  Bytes frame;
  Bytes plaintext;
  std::string metadata;
};

Scratch& WorkerScratch() {
  thread_local Scratch scratch;
  return scratch;
}

// A rare large message must not hold its memory for ever.
void Trim(Bytes& buffer) {
  constexpr size_t kKept = size_t{1} << 20;
  if (buffer.capacity() > kKept) Bytes().swap(buffer);
}

}  // namespace

void SessionChannelHandler::OnRequest(const std::shared_ptr<Channel>& channel,
                                      const Packet& packet) {
  switch (packet.header.opcode) {
    case Opcode::kStep:
      return Step(channel, packet);
    case Opcode::kSeal:
      return Seal(*channel, packet);
    case Opcode::kOpen:
      return Open(*channel, packet);
    case Opcode::kRekey: {
      const Result<void> rekeyed = session_->Rekey();
      if (!rekeyed) return channel->ReplyError(packet.header, rekeyed.error());
      return channel->Reply(packet.header, {});
    }
    case Opcode::kClose:
      channel->Reply(packet.header, {});
      return session_->End(Error(ErrorCode::kSessionClosed, "closed by its holder"));
    case Opcode::kToken:
      return Token(*channel, packet.header);
    case Opcode::kCheckToken:
      return CheckToken(*channel, packet);
    case Opcode::kSign:
    case Opcode::kClosed:
      break;
  }
  channel->ReplyError(packet.header,
                      Error(ErrorCode::kInvalidArgument, "this operation is not one of a session"));
}

void SessionChannelHandler::OnClosed() {
  session_->End(Error(ErrorCode::kSessionClosed, "closed by its holder"));
}

void SessionChannelHandler::Step(const std::shared_ptr<Channel>& channel, const Packet& packet) {
  const channel::Header request = packet.header;
  if (!channel->Defer(request)) return;
  session_->Step(
      ToBytes(packet.body), [channel, request](const Result<session::StepResult>& result) {
        if (!result) return channel->ReplyDeferred(request, Fail(result.error()));
        channel->ReplyDeferred(
            request,
            Writer().Integer(static_cast<uint8_t>(result->established)).Raw(result->output).Take());
      });
}

void SessionChannelHandler::Seal(Channel& channel, const Packet& packet) {
  Scratch& scratch = WorkerScratch();
  Reader reader(packet.body);
  const Result<ByteView> metadata = reader.Field<uint32_t>();
  if (!metadata) return channel.ReplyError(packet.header, metadata.error());
  const Result<void> sealed = session_->Seal(reader.Rest(), AsText(*metadata), scratch.frame);
  if (!sealed) return channel.ReplyError(packet.header, sealed.error());
  channel.Reply(packet.header, {scratch.frame});
  Trim(scratch.frame);
}

void SessionChannelHandler::Open(Channel& channel, const Packet& packet) {
  Scratch& scratch = WorkerScratch();
  const Result<void> opened = session_->Open(packet.body, scratch.plaintext, scratch.metadata);
  if (!opened) return channel.ReplyError(packet.header, opened.error());
  const Bytes metadata = Writer().Field<uint32_t>(AsBytes(scratch.metadata)).Take();
  channel.Reply(packet.header, {metadata, scratch.plaintext});
  Trim(scratch.plaintext);
}

void SessionChannelHandler::Token(Channel& channel, const channel::Header& request) const {
  const Result<SecretBytes> token = tokens_.Make(*session_);
  if (!token) return channel.ReplyError(request, token.error());
  channel.Reply(request, {token->RevealSecret()});
}

void SessionChannelHandler::CheckToken(Channel& channel, const Packet& packet) const {
  const Result<SessionTokens::Bearer> bearer = tokens_.Check(packet.body, session_->info());
  if (!bearer) return channel.ReplyError(packet.header, bearer.error());
  const Bytes told = Writer()
                         .Integer(bearer->session)
                         .Integer(static_cast<uint32_t>(bearer->left.count()))
                         .Field<uint8_t>(AsBytes(bearer->module))
                         .Take();
  channel.Reply(packet.header, {told});
}

}  // namespace keyward
