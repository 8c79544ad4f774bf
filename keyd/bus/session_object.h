// A live session on the bus.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dbus/generated/adaptor.h"
#include "keyd/bus/context.h"

namespace keyward::bus {

// /org/keyward/Keyd1/session/N
std::string SessionObjectPath(uint64_t id);

class SessionObject final : public sdbus::AdaptorInterfaces<org::keyward::Keyd1::Session_adaptor> {
 public:
  SessionObject(Context& context, std::shared_ptr<LiveSession> session);
  ~SessionObject();

 private:
  // Only the user who opened the session may use it. Throws sdbus::Error.
  void CheckCaller();
  // For getters: the session, which its opener and admins may look at. Throws sdbus::Error.
  const LiveSession& Shown();

  void Step(sdbus::Result<std::vector<uint8_t>, bool>&& result, ByteArray input) override;
  std::vector<uint8_t> Seal(const ByteArray& plaintext, const std::string& metadata) override;
  std::tuple<std::vector<uint8_t>, std::string> Open(const ByteArray& frame) override;
  void Rekey() override;
  void Close() override;

  std::string Key() override;
  std::string Peer() override;
  std::string Protocol() override;
  std::string Role() override;
  sdbus::Struct<std::string, std::string> Boot() override;
  std::string State() override;
  uint64_t ExpiresIn() override;
  uint64_t Sealed() override;
  uint64_t Opened() override;
  uint64_t BytesSealed() override;
  uint64_t BytesOpened() override;

  Context& context_;
  const std::shared_ptr<LiveSession> session_;
};

// "initiator", "responder"
std::string RoleName(session::Role role);
// Whole seconds until the session has to end.
uint64_t SecondsLeft(const LiveSession& session, const Clock& clock);

}  // namespace keyward::bus
