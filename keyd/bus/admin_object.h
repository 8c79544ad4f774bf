// The root object's side for admins.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dbus/generated/adaptor.h"
#include "keyd/bus/backup_rows.h"
#include "keyd/bus/context.h"

namespace keyward::bus {

class AdminObject final : public sdbus::AdaptorInterfaces<org::keyward::Keyd1::Admin_adaptor> {
 public:
  // `keys_changed` is told when a key came or went.
  AdminObject(Context& context, std::function<void()> keys_changed);
  ~AdminObject();

 private:
  using PcrRows = std::vector<sdbus::Struct<uint32_t, std::vector<uint8_t>>>;

  // The caller, who is an admin. Throws sdbus::Error (PermissionDenied) for anybody else.
  policy::Caller Admin();

  void GenerateKey(sdbus::Result<std::vector<uint8_t>>&& result, std::string name,
                   std::string algorithm, std::string custody, std::string custodian) override;
  void PrepareKey(sdbus::Result<uint32_t>&& result, std::string name) override;
  void ActivateKey(sdbus::Result<uint32_t>&& result, std::string name) override;
  void RetireVersion(sdbus::Result<>&& result, std::string name, uint32_t version) override;
  void RotateKey(sdbus::Result<uint32_t>&& result, std::string name) override;
  void RevokeKey(sdbus::Result<uint32_t>&& result, std::string name, uint32_t version) override;
  void DestroyKey(sdbus::Result<uint32_t>&& result, std::string name, uint32_t version) override;
  void EnrolModule(sdbus::Result<>&& result, std::string module, std::string key) override;
  void RemoveModule(sdbus::Result<uint32_t>&& result, std::string module) override;
  void EnrolPeer(sdbus::Result<>&& result, std::string peer, ByteArray public_key) override;
  void RemovePeer(sdbus::Result<uint32_t>&& result, std::string peer) override;
  void RevokeModule(sdbus::Result<uint32_t>&& result, std::string name) override;
  std::vector<
      sdbus::Struct<std::vector<uint8_t>, std::string, uint32_t, uint64_t, std::vector<uint8_t>>>
  ListRevocations() override;
  void ExportRevocations(sdbus::Result<std::string, std::vector<uint8_t>>&& result) override;
  void ImportRevocations(sdbus::Result<uint32_t, uint32_t>&& result, std::string list,
                         ByteArray signer) override;
  std::vector<
      sdbus::Struct<std::string, std::string, std::string, std::string, std::string, uint32_t>>
  ListModules() override;
  std::vector<sdbus::Struct<sdbus::ObjectPath, std::string, std::string, uint32_t, std::string,
                            std::string, std::string, std::string, uint64_t, uint64_t, uint64_t>>
  ListSessions() override;
  uint32_t EndSessions(const std::string& session, const std::string& module) override;
  void ReloadPolicy() override;
  uint32_t Seal() override;
  void ZeroizeAll(sdbus::Result<uint32_t>&& result) override;
  void Unseal(sdbus::Result<>&& result) override;
  void MakeSecondSeal(sdbus::Result<>&& result, std::string place, ByteArray material) override;
  std::tuple<std::string, std::string, std::vector<uint8_t>, uint64_t, std::string> ShowSeals()
      override;
  void ForgetSecondSeal(sdbus::Result<>&& result, bool lost) override;
  std::tuple<sdbus::UnixFd, uint64_t, uint64_t, uint64_t> ReadAudit(
      const uint64_t& record) override;
  std::tuple<sdbus::UnixFd, uint64_t> FollowAudit() override;
  void SignAudit(sdbus::Result<>&& result) override;
  void ShowPcrPolicies(sdbus::Result<std::vector<uint8_t>, PcrRows, PcrRows>&& result,
                       uint32_t also) override;
  void AddPcrPolicy(const uint32_t& pcrs, const ByteArray& digest,
                    const ByteArray& signature) override;
  void Attest(sdbus::Result<std::vector<uint8_t>, std::vector<uint8_t>, PcrRows,
                            std::vector<uint8_t>>&& result,
              ByteArray nonce) override;

  void CreateBackup(
      sdbus::Result<sdbus::UnixFd, std::vector<uint8_t>, HeldRows, LeftOutRows>&& result,
      ByteArray certificates) override;
  void CheckBackup(sdbus::Result<bool, std::vector<uint8_t>, uint64_t, ProofRows>&& result,
                   ByteArray digest, ByteArray origin) override;

  // Answer a call with what it came to.
  AdminService::Ended TellEnded(sdbus::Result<uint32_t>&& result);
  KeyRing::VersionDone TellVersion(sdbus::Result<uint32_t>&& result);
  AdminService::Done TellDone(sdbus::Result<>&& result);

  Context& context_;
  const std::function<void()> keys_changed_;
};

}  // namespace keyward::bus
