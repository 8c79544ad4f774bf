#include "api/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "core/encoding.h"

namespace keyward {
namespace {

std::unexpected<Error> StreamError(const char* what) {
  const int error = errno;
  if (error == EPIPE || error == ECONNRESET) {
    return Fail(ErrorCode::kSessionClosed, "the peer closed the connection");
  }
  return Fail(Error(ErrorCode::kIo, "the connection to the peer failed")
                  .WithCause(std::string(what) + ": " + std::strerror(error)));
}

Result<void> WaitFor(int fd, int16_t events, const Deadline& deadline) {
  pollfd entry{fd, events, 0};
  const int ready = poll(&entry, 1, deadline.PollTimeout());
  if (ready < 0 && errno != EINTR) return StreamError("poll");
  if (ready == 0) return Fail(ErrorCode::kUnreachable, "the peer did not answer in time");
  return {};
}

bool IsWait(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

Result<SocketStream> SocketStream::Create(UniqueFd socket) {
  const int flags = fcntl(socket.get(), F_GETFL);
  if (flags < 0 || fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return Fail(ErrorCode::kInvalidArgument, "the stream's descriptor cannot be used");
  }
  return SocketStream(std::move(socket));
}

Result<void> SocketStream::Read(MutableBytes out, const Deadline& deadline) {
  while (!out.empty()) {
    const ssize_t got = recv(socket_.get(), out.data(), out.size(), 0);
    if (got > 0) {
      out = out.subspan(static_cast<size_t>(got));
    } else if (got == 0) {
      return Fail(ErrorCode::kSessionClosed, "the peer closed the connection");
    } else if (IsWait(errno)) {
      KEYWARD_TRY(WaitFor(socket_.get(), POLLIN, deadline));
    } else if (errno != EINTR) {
      return StreamError("recv");
    }
  }
  return {};
}

Result<void> SocketStream::Write(ByteView bytes, const Deadline& deadline) {
  while (!bytes.empty()) {
    const ssize_t put = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(put));
    } else if (IsWait(errno)) {
      KEYWARD_TRY(WaitFor(socket_.get(), POLLOUT, deadline));
    } else if (errno != EINTR) {
      return StreamError("send");
    }
  }
  return {};
}

Result<void> WriteMessage(ByteStream& stream, ByteView message, const Deadline& deadline) {
  if (message.size() > kMaxMessage) {
    return Fail(ErrorCode::kTooLarge, "the message is over 16 MiB; send it in parts");
  }
  const Bytes length = Writer().Integer(static_cast<uint32_t>(message.size())).Take();
  KEYWARD_TRY(stream.Write(length, deadline));
  return stream.Write(message, deadline);
}

Result<Bytes> ReadMessage(ByteStream& stream, const Deadline& deadline, size_t limit) {
  Bytes length(sizeof(uint32_t));
  KEYWARD_TRY(stream.Read(length, deadline));
  KEYWARD_ASSIGN(const uint32_t size, Reader(length).Integer<uint32_t>());
  if (size > limit)
    return Fail(ErrorCode::kTooLarge, "the peer announced a message over the limit");
  Bytes message(size);
  KEYWARD_TRY(stream.Read(message, deadline));
  return message;
}

}  // namespace keyward
