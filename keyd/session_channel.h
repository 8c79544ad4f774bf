// Serves the channel of one session.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "keyd/channel.h"
#include "keyd/session_tokens.h"

namespace keyward {

class SessionChannelHandler final : public ChannelHandler {
 public:
  // `tokens` outlives it.
  SessionChannelHandler(std::shared_ptr<LiveSession> session, const SessionTokens& tokens)
      : session_(std::move(session)), tokens_(tokens) {}

  void OnRequest(const std::shared_ptr<Channel>& channel, const channel::Packet& packet) override;
  // The last holder is gone: the session ends and its keys are wiped.
  void OnClosed() override;

 private:
  void Step(const std::shared_ptr<Channel>& channel, const channel::Packet& packet);
  void Seal(Channel& channel, const channel::Packet& packet);
  void Open(Channel& channel, const channel::Packet& packet);
  void Token(Channel& channel, const channel::Header& request) const;
  void CheckToken(Channel& channel, const channel::Packet& packet) const;

  const std::shared_ptr<LiveSession> session_;
  const SessionTokens& tokens_;
};

}  // namespace keyward
