// The client's end of a handle: requests out, replies in, over dbus/channel_protocol.h.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "api/deadline.h"
#include "core/unique_fd.h"
#include "dbus/channel_packet.h"

namespace keyward {

// One thread at a time. Once keyd has ended the channel every call fails with the reason that it
// gave; before that, a request that outlives its deadline makes the channel useless too, because
// nobody knows what became of it, and closes it.
class ChannelClient {
 public:
  // Takes over a SEQPACKET socket from keyd. Errors: kInvalidArgument (not a descriptor).
  static Result<ChannelClient> Create(UniqueFd socket);

  // One request, whose body is `prefix` and `payload`; gives the body of the reply. Errors: those
  // of the operation, kSessionClosed, kRevoked, kExpired, kUnreachable (no answer in time), kIo.
  Result<Bytes> Call(channel::Opcode opcode, ByteView prefix, ByteView payload,
                     const Deadline& deadline);
  // The same for each payload, with up to kMaxInFlight requests on their way; the replies in the
  // order of the payloads. The first error ends the batch, once what is on its way has come back.
  Result<std::vector<Bytes>> CallMany(channel::Opcode opcode, ByteView prefix,
                                      std::span<const ByteView> payloads, const Deadline& deadline);

  // Takes notice of what keyd sent on its own account; never blocks. Fails with the reason when it
  // has ended the channel.
  Result<void> CheckOpen();
  // Closes this end. Every call after it fails with kSessionClosed.
  void Close();
  // For poll(2): readable when CheckOpen has something to see. -1 once closed.
  int descriptor() const { return socket_.get(); }

 private:
  struct Batch;

  explicit ChannelClient(UniqueFd socket) : socket_(std::move(socket)) {}

  Result<void> Exchange(Batch& batch, const Deadline& deadline);
  Result<void> SendWhatFits(Batch& batch);
  Result<void> TakeReplies(Batch& batch);
  Result<void> TakeReply(Batch& batch, const channel::Packet& packet);
  Result<void> Wait(bool to_send, const Deadline& deadline);
  Error FindReason(Error why);
  std::unexpected<Error> End(Error why);

  UniqueFd socket_;
  channel::PacketReceiver receiver_;
  uint32_t next_id_ = 1;
  std::optional<Error> ended_;
};

}  // namespace keyward
