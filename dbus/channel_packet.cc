#include "dbus/channel_packet.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/unique_fd.h"
#include "dbus/memfd.h"

namespace keyward::channel {
namespace {

constexpr size_t kMaxParts = 8;
// As many as the kernel lets one message carry (SCM_MAX_FD). It closes for us what finds no room
// here, as it is: lingering.
constexpr size_t kMaxDescriptors = 253;

std::unexpected<Error> IoError(const char* what) {
  const int error = errno;
  if (error == EPIPE || error == ECONNRESET || error == ENOTCONN) {
    return Fail(ErrorCode::kSessionClosed, "the channel is closed");
  }
  return Fail(Error(ErrorCode::kIo, "the channel failed")
                  .WithCause(std::string(what) + ": " + std::strerror(error)));
}

// The first descriptor of a message; any others are closed. A socket that lingers would hold up
// whoever closes it last, for as long as its sender likes: none does any more.
UniqueFd TakeDescriptor(msghdr& message) {
  UniqueFd first;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      UniqueFd owned(fd);
      constexpr linger kNone{};
      if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &kNone, sizeof(kNone)) != 0 && errno != ENOTSOCK) {
        continue;
      }
      if (!first) first = std::move(owned);
    }
  }
  return first;
}

void AttachDescriptor(msghdr& message, std::span<char> control, int fd) {
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(c), &fd, sizeof(int));
}

// One message as it came off the socket.
struct Received {
  ssize_t size;  // as recvmsg(2) gives it
  int flags;
  bool has_control;  // whether anything came along
  UniqueFd attached;
};

Received ReceiveMessage(int socket, MutableBytes out) {
  alignas(cmsghdr)
      std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kMaxDescriptors * sizeof(int))>
          control{};
  iovec buffer{out.data(), out.size()};
  msghdr message{};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return {got, 0, false, {}};
  return {got, message.msg_flags, message.msg_controllen != 0, TakeDescriptor(message)};
}

}  // namespace

PacketReceiver::PacketReceiver() : inline_(kHeaderSize + kMaxInlineBody) {}

void PacketReceiver::Discard(int socket) {
  // An empty packet reads like the end, but for the credentials that come with every packet then.
  constexpr int kOn = 1;
  static_cast<void>(setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &kOn, sizeof(kOn)));
  while (ReceiveMessage(socket, inline_).has_control) {
  }
}

Result<std::optional<Packet>> PacketReceiver::Receive(int socket) {
  const Received received = ReceiveMessage(socket, inline_);
  if (received.size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
  if (received.size < 0) return IoError("recvmsg");
  if (received.size == 0) return Fail(ErrorCode::kSessionClosed, "the channel is closed");
  if ((received.flags & MSG_TRUNC) != 0) return Fail(ErrorCode::kTooLarge, "packet too long");
  if ((received.flags & MSG_CTRUNC) != 0) return Fail(ErrorCode::kMalformed, "descriptors");
  const ByteView packet(inline_.data(), static_cast<size_t>(received.size));
  KEYWARD_ASSIGN(const Header header, DecodeHeader(packet));
  if ((header.flags & kBodyInMemfd) != 0) {
    if (packet.size() != kHeaderSize) return Fail(ErrorCode::kMalformed, "two bodies");
    KEYWARD_TRY(ReadMemfd(received.attached.get(), header.body_size, large_));
    return Packet{header, large_};
  }
  const ByteView body = packet.subspan(kHeaderSize);
  if (body.size() != header.body_size) return Fail(ErrorCode::kMalformed, "wrong body size");
  return Packet{header, body};
}

Result<bool> SendPacket(int socket, Header header, std::initializer_list<ByteView> parts) {
  size_t size = 0;
  for (const ByteView part : parts) size += part.size();
  if (size > kMaxBody || parts.size() >= kMaxParts) {
    return Fail(ErrorCode::kTooLarge, "the body is over 16 MiB");
  }
  header.body_size = static_cast<uint32_t>(size);
  UniqueFd memfd;
  if (size > kMaxInlineBody) {
    KEYWARD_ASSIGN(memfd, WriteMemfd(parts));
    header.flags |= kBodyInMemfd;
  }
  std::array<uint8_t, kHeaderSize> head{};
  EncodeHeader(header, head);
  std::array<iovec, kMaxParts> buffers{};
  size_t count = 0;
  buffers[count++] = {head.data(), head.size()};
  if (!memfd) {
    for (const ByteView part : parts) {
      buffers[count++] = {const_cast<uint8_t*>(part.data()), part.size()};
    }
  }
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = buffers.data();
  message.msg_iovlen = count;
  if (memfd) AttachDescriptor(message, control, memfd.get());
  ssize_t put = 0;
  do {
    put = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (put < 0 && errno == EINTR);
  if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  if (put < 0) return IoError("sendmsg");
  return true;
}

}  // namespace keyward::channel
