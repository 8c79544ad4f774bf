#include "keyd/channel.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <array>
#include <utility>

namespace keyward {

using channel::Header;
using channel::Opcode;

namespace {

// Whether the client has taken everything. The kernel counts what a packet occupies, some hundred
// bytes at least, and one byte while it tells that room was made.
bool AllIsTaken(int socket) {
  int unread = 0;
  return ioctl(socket, SIOCOUTQ, &unread) == 0 && unread <= 1;
}

}  // namespace

Result<std::pair<std::shared_ptr<Channel>, UniqueFd>> Channel::CreatePair(
    std::shared_ptr<ChannelHandler> handler) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return Fail(ErrorCode::kResourceExhausted, "keyd has no more descriptors for channels");
  }
  auto channel = std::make_shared<Channel>(UniqueFd(ends[0]), std::move(handler));
  return std::pair(std::move(channel), UniqueFd(ends[1]));
}

void Channel::Reply(const Header& request, std::initializer_list<ByteView> body) {
  Send(Header{.opcode = request.opcode, .request_id = request.request_id}, body);
}

void Channel::ReplyError(const Header& request, const Error& error) {
  Header header{.opcode = request.opcode, .request_id = request.request_id};
  header.status = static_cast<uint16_t>(error.code());
  const Bytes body = channel::EncodeError(error);
  Send(header, {body});
}

void Channel::ReplyDeferred(const Header& request, const Result<Bytes>& body) {
  --deferred_;
  if (body) {
    Reply(request, {*body});
  } else {
    ReplyError(request, body.error());
  }
}

bool Channel::Defer(const Header& request) {
  if (deferred_ >= channel::kMaxInFlight) {
    ReplyError(
        request,
        Error(ErrorCode::kBusy, "too many requests in flight on this channel").WithRetryAfter(10));
    return false;
  }
  ++deferred_;
  return true;
}

void Channel::Send(Header header, std::initializer_list<ByteView> body) {
  bool has_backlog = false;
  {
    const std::lock_guard lock(mutex_);
    if (refusal_) return;
    if (backlog_.empty()) {
      const Result<bool> sent = TrySend(header, body);
      // A client that waits for this reply must not wait for ever.
      if (!sent) return CloseLocked(sent.error());
      if (*sent) return;
    }
    Waiting waiting{header, {}};
    for (const ByteView part : body) Append(waiting.body, part);
    backlog_.push_back(std::move(waiting));
    has_backlog = true;
  }
  if (has_backlog && on_backlog_) on_backlog_();
}

Result<bool> Channel::TrySend(const Header& header, std::initializer_list<ByteView> body) {
  size_t size = 0;
  for (const ByteView part : body) size += part.size();
  // A memfd that the client has not taken is memory of keyd's: one per channel is enough. To the
  // socket's own limit it counts as the few bytes of its header.
  if (size > channel::kMaxInlineBody && !AllIsTaken(fd())) return false;
  return channel::SendPacket(fd(), header, body);
}

void Channel::Refuse(const Error& reason) {
  const std::lock_guard lock(mutex_);
  RefuseLocked(reason);
}

void Channel::RefuseLocked(const Error& reason) {
  if (refusal_) return;
  refusal_ = reason;
  backlog_.clear();
}

void Channel::Close(const Error& reason) {
  const std::lock_guard lock(mutex_);
  CloseLocked(reason);
}

void Channel::CloseLocked(const Error& reason) {
  RefuseLocked(reason);
  if (std::exchange(cut_, true)) return;
  Header header{.opcode = Opcode::kClosed};
  header.status = static_cast<uint16_t>(refusal_->code());
  const Bytes body = channel::EncodeError(*refusal_);
  // A client that does not read learns it from the end of the connection.
  [[maybe_unused]] const Result<bool> told = channel::SendPacket(fd(), header, {body});
  shutdown(fd(), SHUT_RDWR);
}

bool Channel::closed() const {
  const std::lock_guard lock(mutex_);
  return refusal_.has_value();
}

bool Channel::HasBacklog() const {
  const std::lock_guard lock(mutex_);
  return !backlog_.empty();
}

Result<void> Channel::FlushBacklog() {
  const std::lock_guard lock(mutex_);
  while (!backlog_.empty()) {
    KEYWARD_ASSIGN(const bool sent, TrySend(backlog_.front().header, {backlog_.front().body}));
    if (!sent) return {};
    backlog_.pop_front();
  }
  return {};
}

}  // namespace keyward
