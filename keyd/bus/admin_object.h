// The root object's side for admins.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dbus/generated/adaptor.h"
#include "keyd/bus/context.h"

namespace keyward::bus {

class AdminObject final : public sdbus::AdaptorInterfaces<org::keyward::Keyd1::Admin_adaptor> {
 public:
  // `keys_changed` is told when a key came or went.
  AdminObject(Context& context, std::function<void()> keys_changed);
  ~AdminObject();

 private:
  // The caller, who is an admin. Throws sdbus::Error (PermissionDenied) for anybody else.
  policy::Caller Admin();

  void GenerateKey(sdbus::Result<std::vector<uint8_t>>&& result, std::string name,
                   std::string algorithm, std::string custody, std::string custodian) override;
  void RotateKey(sdbus::Result<uint32_t>&& result, std::string name) override;
  uint32_t RevokeKey(const std::string& name, const uint32_t& version) override;
  void DestroyKey(sdbus::Result<uint32_t>&& result, std::string name) override;
  void EnrolModule(const std::string& module, const std::string& key) override;
  uint32_t RemoveModule(const std::string& module) override;
  void EnrolPeer(const std::string& peer, const ByteArray& public_key) override;
  uint32_t RemovePeer(const std::string& peer) override;
  std::vector<
      sdbus::Struct<std::string, std::string, std::string, std::string, std::string, uint32_t>>
  ListModules() override;
  std::vector<sdbus::Struct<sdbus::ObjectPath, std::string, std::string, uint32_t, std::string,
                            std::string, std::string, std::string, uint64_t, uint64_t, uint64_t>>
  ListSessions() override;
  uint32_t EndSessions(const std::string& session, const std::string& module) override;
  void ReloadPolicy() override;

  Context& context_;
  const std::function<void()> keys_changed_;
};

}  // namespace keyward::bus
