// Moves packets of dbus/channel_protocol.h over a socket; the same code at both ends.
#pragma once

#include <initializer_list>
#include <optional>

#include "dbus/channel_protocol.h"

namespace keyward::channel {

struct Packet {
  Header header;
  ByteView body;  // valid until the receiver receives again
};

// Receives with buffers of its own. One thread at a time.
class PacketReceiver {
 public:
  PacketReceiver();

  // The next packet; nothing when a non-blocking socket has none. Whatever descriptors came along
  // are closed. A body in a memfd is copied out, after a check that it is one (another kind of file
  // could make the reader wait for ever), so that the sender cannot change it afterwards. Errors:
  // kSessionClosed (the other end is gone), kMalformed, kTooLarge, kIo.
  Result<std::optional<Packet>> Receive(int socket);

  // Throws away what a socket that is shut down still holds. The kernel would do so at its close,
  // but then a descriptor in it that lingers could hold up the one who closes.
  void Discard(int socket);

 private:
  Bytes inline_;
  Bytes large_;
};

// Sends one packet whose body is `parts` one after the other. False when a non-blocking socket is
// full. Errors: kSessionClosed, kTooLarge, kIo.
Result<bool> SendPacket(int socket, Header header, std::initializer_list<ByteView> parts);

}  // namespace keyward::channel
