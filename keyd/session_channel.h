// Serves the channel of one session.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "keyd/channel.h"
#include "keyd/live_session.h"

namespace keyward {

class SessionChannelHandler final : public ChannelHandler {
 public:
  explicit SessionChannelHandler(std::shared_ptr<LiveSession> session)
      : session_(std::move(session)) {}

  void OnRequest(const std::shared_ptr<Channel>& channel, const channel::Packet& packet) override;
  // The last holder is gone: the session ends and its keys are wiped.
  void OnClosed() override;

 private:
  void Step(const std::shared_ptr<Channel>& channel, const channel::Packet& packet);
  void Seal(Channel& channel, const channel::Packet& packet);
  void Open(Channel& channel, const channel::Packet& packet);

  const std::shared_ptr<LiveSession> session_;
};

}  // namespace keyward
