// keyd's end of a channel, answered by a test on its own thread.
#pragma once

#include <sys/socket.h>

#include <array>
#include <functional>
#include <thread>

#include "core/unique_fd.h"
#include "dbus/channel_packet.h"
#include "tests/support/matchers.h"

namespace keyward::testing_support {

class FakeKeydChannel {
 public:
  // Runs `serve` with keyd's socket on a thread of its own; the socket closes when it returns.
  explicit FakeKeydChannel(std::function<void(int socket)> serve) {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    client_end_ = UniqueFd(ends[0]);
    thread_ = std::jthread(
        [keyd_end = UniqueFd(ends[1]), serve = std::move(serve)] { serve(keyd_end.get()); });
  }

  UniqueFd TakeClientEnd() { return std::move(client_end_); }
  void WaitUntilServed() { thread_.join(); }

 private:
  UniqueFd client_end_;
  std::jthread thread_;
};

// The next request on a blocking socket, with its body copied; nothing when the client is gone.
struct Request {
  channel::Header header;
  Bytes body;
};
inline std::optional<Request> NextRequest(int socket) {
  channel::PacketReceiver receiver;
  const Result<std::optional<channel::Packet>> packet = receiver.Receive(socket);
  if (!packet || !*packet) return std::nullopt;
  return Request{(*packet)->header, ToBytes((*packet)->body)};
}

inline void Answer(int socket, const channel::Header& request, ByteView body) {
  const channel::Header header{.opcode = request.opcode, .request_id = request.request_id};
  EXPECT_OK(channel::SendPacket(socket, header, {body}));
}

inline void AnswerError(int socket, const channel::Header& request, const Error& error) {
  const channel::Header header{.opcode = request.opcode,
                               .status = static_cast<uint16_t>(error.code()),
                               .request_id = request.request_id};
  const Bytes body = channel::EncodeError(error);
  EXPECT_OK(channel::SendPacket(socket, header, {body}));
}

inline void SendClosed(int socket, const Error& reason) {
  AnswerError(socket, {.opcode = channel::Opcode::kClosed}, reason);
}

}  // namespace keyward::testing_support
