// The root object's side for modules.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dbus/generated/adaptor.h"
#include "keyd/bus/context.h"

namespace keyward::bus {

class ManagerObject final : public sdbus::AdaptorInterfaces<org::keyward::Keyd1::Manager_adaptor> {
 public:
  // `session_opened` puts a new session on the bus before its opener hears of it.
  using SessionOpened = std::function<void(std::shared_ptr<LiveSession>)>;

  ManagerObject(Context& context, SessionOpened session_opened);
  ~ManagerObject();

 private:
  void OpenSession(sdbus::Result<sdbus::ObjectPath, sdbus::UnixFd>&& result, std::string key,
                   std::string protocol, std::string role, std::string peer,
                   Options options) override;
  std::tuple<sdbus::ObjectPath, sdbus::UnixFd> OpenKey(const std::string& key) override;
  std::vector<
      sdbus::Struct<std::string, std::string, std::string, std::string, std::string, uint32_t>>
  ListKeys() override;

  std::string Version() override;
  std::string Health() override;
  std::vector<sdbus::Struct<std::string, std::string, std::string, std::string, uint64_t, uint32_t>>
  Custodians() override;
  sdbus::Struct<uint64_t, bool> Store() override;
  sdbus::Struct<std::string, uint64_t> Backup() override;
  sdbus::Struct<std::string, std::string> Seal() override;
  sdbus::Struct<std::string, std::string, std::string, std::string, uint64_t, std::vector<uint32_t>>
  Boot() override;
  std::string SecretMemory() override;
  sdbus::Struct<std::string, uint64_t, uint64_t, uint64_t> Audit() override;
  uint32_t SessionCount() override;
  uint64_t Uptime() override;

  Context& context_;
  const SessionOpened session_opened_;
};

}  // namespace keyward::bus
