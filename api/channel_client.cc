#include "api/channel_client.h"

#include <fcntl.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace keyward {
namespace {

using channel::Header;
using channel::Opcode;
using channel::Packet;

Error ClosedError(const Packet& packet) {
  return channel::DecodeError(packet.header.status, packet.body);
}

}  // namespace

struct ChannelClient::Batch {
  Opcode opcode{};
  ByteView prefix;
  std::span<const ByteView> payloads;
  std::vector<Bytes> replies;
  std::map<uint32_t, size_t> in_flight;  // request id -> index of its payload
  size_t sent = 0;
  std::optional<Error> failed;

  bool Sending() const { return !failed && sent < payloads.size(); }
  bool Done() const { return !Sending() && in_flight.empty(); }
};

Result<ChannelClient> ChannelClient::Create(UniqueFd socket) {
  const int flags = fcntl(socket.get(), F_GETFL);
  if (flags < 0 || fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return Fail(ErrorCode::kInvalidArgument, "the channel's descriptor cannot be used");
  }
  return ChannelClient(std::move(socket));
}

Result<Bytes> ChannelClient::Call(Opcode opcode, ByteView prefix, ByteView payload,
                                  const Deadline& deadline) {
  const std::array<ByteView, 1> payloads{payload};
  KEYWARD_ASSIGN(std::vector<Bytes> replies, CallMany(opcode, prefix, payloads, deadline));
  return std::move(replies.front());
}

Result<std::vector<Bytes>> ChannelClient::CallMany(Opcode opcode, ByteView prefix,
                                                   std::span<const ByteView> payloads,
                                                   const Deadline& deadline) {
  if (ended_) return Fail(*ended_);
  Batch batch;
  batch.opcode = opcode;
  batch.prefix = prefix;
  batch.payloads = payloads;
  batch.replies.resize(payloads.size());
  if (Result<void> done = Exchange(batch, deadline); !done) return End(std::move(done).error());
  if (batch.failed) return Fail(*std::move(batch.failed));
  return std::move(batch.replies);
}

Result<void> ChannelClient::Exchange(Batch& batch, const Deadline& deadline) {
  while (true) {
    KEYWARD_TRY(SendWhatFits(batch));
    if (batch.Done()) return {};
    const bool to_send = batch.Sending() && batch.in_flight.size() < channel::kMaxInFlight;
    KEYWARD_TRY(Wait(to_send, deadline));
    KEYWARD_TRY(TakeReplies(batch));
  }
}

Result<void> ChannelClient::SendWhatFits(Batch& batch) {
  while (batch.Sending() && batch.in_flight.size() < channel::kMaxInFlight) {
    const Header header{.opcode = batch.opcode, .request_id = next_id_};
    Result<bool> sent =
        channel::SendPacket(socket_.get(), header, {batch.prefix, batch.payloads[batch.sent]});
    if (!sent && sent.error().code() == ErrorCode::kTooLarge) {
      batch.failed = std::move(sent).error();  // nothing left; the channel is as good as before
      return {};
    }
    if (!sent) return Fail(std::move(sent).error());
    if (!*sent) return {};
    batch.in_flight.emplace(next_id_, batch.sent++);
    if (++next_id_ == 0) next_id_ = 1;
  }
  return {};
}

Result<void> ChannelClient::TakeReplies(Batch& batch) {
  while (!batch.in_flight.empty()) {
    KEYWARD_ASSIGN(const std::optional<Packet> packet, receiver_.Receive(socket_.get()));
    if (!packet) return {};
    KEYWARD_TRY(TakeReply(batch, *packet));
  }
  return {};
}

Result<void> ChannelClient::TakeReply(Batch& batch, const Packet& packet) {
  if (packet.header.opcode == Opcode::kClosed) return Fail(ClosedError(packet));
  const auto found = batch.in_flight.find(packet.header.request_id);
  if (found == batch.in_flight.end() || packet.header.opcode != batch.opcode) {
    return Fail(ErrorCode::kMalformed, "keyd answered what was not asked");
  }
  if (packet.header.status == 0) {
    batch.replies[found->second] = ToBytes(packet.body);
  } else if (!batch.failed) {
    batch.failed = channel::DecodeError(packet.header.status, packet.body);
  }
  batch.in_flight.erase(found);
  return {};
}

Result<void> ChannelClient::Wait(bool to_send, const Deadline& deadline) {
  const int events = POLLIN | (to_send ? POLLOUT : 0);
  pollfd entry{socket_.get(), static_cast<int16_t>(events), 0};
  const int ready = poll(&entry, 1, deadline.PollTimeout());
  if (ready < 0 && errno != EINTR) {
    return Fail(Error(ErrorCode::kIo, "the channel failed")
                    .WithCause(std::string("poll: ") + std::strerror(errno)));
  }
  if (ready == 0) return Fail(ErrorCode::kUnreachable, "keyd did not answer in time");
  return {};
}

Result<void> ChannelClient::CheckOpen() {
  if (ended_) return Fail(*ended_);
  Result<std::optional<Packet>> packet = receiver_.Receive(socket_.get());
  if (!packet) return End(std::move(packet).error());
  if (!*packet) return {};
  if ((*packet)->header.opcode == Opcode::kClosed) return End(ClosedError(**packet));
  return End({ErrorCode::kMalformed, "keyd answered what was not asked"});
}

// When keyd closes, a request of ours can fail before its last packet was read; and where requests
// were left unread, Linux reports ECONNRESET once before it hands that packet out.
Error ChannelClient::FindReason(Error why) {
  for (size_t i = 0; i < channel::kMaxInFlight + 2; ++i) {
    const Result<std::optional<Packet>> packet = receiver_.Receive(socket_.get());
    if (!packet) continue;
    if (!*packet) break;
    if ((*packet)->header.opcode == Opcode::kClosed) return ClosedError(**packet);
  }
  return why;
}

void ChannelClient::Close() {
  if (!ended_) ended_ = Error(ErrorCode::kSessionClosed, "the session was closed here");
  socket_.Reset();
}

std::unexpected<Error> ChannelClient::End(Error why) {
  if (why.code() == ErrorCode::kSessionClosed) why = FindReason(std::move(why));
  ended_ = why;
  socket_.Reset();
  return Fail(std::move(why));
}

}  // namespace keyward
