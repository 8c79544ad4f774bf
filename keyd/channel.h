// keyd's end of a handle: one SEQPACKET socket, its requests and its replies.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "core/unique_fd.h"
#include "dbus/channel_packet.h"

namespace keyward {

class Channel;

// What serves a channel: a session or a key. Called on the channel's worker thread alone.
class ChannelHandler {
 public:
  virtual ~ChannelHandler() = default;
  // Answers with channel->Reply, now or later, from any thread. `packet` is valid during the call.
  virtual void OnRequest(const std::shared_ptr<Channel>& channel,
                         const channel::Packet& packet) = 0;
  // The other end is gone, or the channel was closed here.
  virtual void OnClosed() = 0;
};

// Any thread may call.
class Channel : public std::enable_shared_from_this<Channel> {
 public:
  // A connected pair; the second is the client's end. Errors: kResourceExhausted.
  static Result<std::pair<std::shared_ptr<Channel>, UniqueFd>> CreatePair(
      std::shared_ptr<ChannelHandler> handler);
  Channel(UniqueFd socket, std::shared_ptr<ChannelHandler> handler)
      : socket_(std::move(socket)), handler_(std::move(handler)) {}

  // Answers one request. A reply that the client does not take yet waits here, and so long no
  // further request is read.
  void Reply(const channel::Header& request, std::initializer_list<ByteView> body);
  void ReplyError(const channel::Header& request, const Error& error);
  // Answers a request that Defer let through.
  void ReplyDeferred(const channel::Header& request, const Result<Bytes>& body);
  // Counts a request that is answered later. False, with kBusy answered, when too many are open.
  bool Defer(const channel::Header& request);

  // From now on no request is answered, and the replies that the client has not taken are gone.
  // Close is still to be called, and then tells this reason.
  void Refuse(const Error& reason);
  // Tells the client why and cuts the connection.
  void Close(const Error& reason);
  // Whether it refuses what comes.
  bool closed() const;

  // Whether replies wait for the client to take earlier ones.
  bool HasBacklog() const;
  // Sends what waits. Errors: kSessionClosed and others that end the channel.
  Result<void> FlushBacklog();
  // The worker asks to be told when replies begin to wait.
  void OnBacklog(std::function<void()> listener) { on_backlog_ = std::move(listener); }

  int fd() const { return socket_.get(); }
  ChannelHandler& handler() const { return *handler_; }

 private:
  struct Waiting {
    channel::Header header;
    Bytes body;
  };

  void Send(channel::Header header, std::initializer_list<ByteView> body);
  // With mutex_ held. False when it has to wait.
  Result<bool> TrySend(const channel::Header& header, std::initializer_list<ByteView> body);
  void RefuseLocked(const Error& reason);
  void CloseLocked(const Error& reason);

  const UniqueFd socket_;
  const std::shared_ptr<ChannelHandler> handler_;
  std::function<void()> on_backlog_;
  std::atomic<size_t> deferred_ = 0;
  mutable std::mutex mutex_;
  std::deque<Waiting> backlog_;
  std::optional<Error> refusal_;  // once closed
  bool cut_ = false;              // and the client was told
};

}  // namespace keyward
