// The transport between two modules: whatever carries bytes in order. Keyward does no network I/O
// of its own; a module brings the connection and steps the handshake over it.
#pragma once

#include "api/deadline.h"
#include "core/bytes.h"
#include "core/result.h"
#include "core/unique_fd.h"

namespace keyward {

// One thread at a time. Errors of both: kSessionClosed (the peer is gone), kUnreachable (not done
// by the deadline), kIo.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Fills all of `out`.
  virtual Result<void> Read(MutableBytes out, const Deadline& deadline) = 0;
  virtual Result<void> Write(ByteView bytes, const Deadline& deadline) = 0;
};

// A connected stream socket (Unix or TCP).
class SocketStream final : public ByteStream {
 public:
  // Takes the socket over and makes it non-blocking. Errors: kInvalidArgument (not a descriptor).
  static Result<SocketStream> Create(UniqueFd socket);

  Result<void> Read(MutableBytes out, const Deadline& deadline) override;
  Result<void> Write(ByteView bytes, const Deadline& deadline) override;
  // For poll(2).
  int descriptor() const { return socket_.get(); }

 private:
  explicit SocketStream(UniqueFd socket) : socket_(std::move(socket)) {}

  UniqueFd socket_;
};

// The framing for handshake messages and sealed frames on a stream: a big-endian length of 4 bytes,
// then so many bytes. The largest frame is 16 MiB of message with its header and metadata.
inline constexpr size_t kMaxMessage = size_t{16} * 1024 * 1024 + size_t{64} * 1024;

// Errors of both: those of ByteStream, kTooLarge (over `limit`, before any of it is read, or over
// kMaxMessage).
Result<void> WriteMessage(ByteStream& stream, ByteView message, const Deadline& deadline);
Result<Bytes> ReadMessage(ByteStream& stream, const Deadline& deadline, size_t limit = kMaxMessage);

}  // namespace keyward
