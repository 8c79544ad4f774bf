// What admins may ask of keyd. The caller has been found to be one before any of this is called.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "keyd/service.h"

namespace keyward {

struct ModuleStatus {
  std::string name;
  bool is_remote_peer;
  std::string key;          // empty for a remote peer
  std::string fingerprint;  // hex of SHA-256 of the identity's SPKI; empty when there is none
  std::string state;        // "enrolled", "revoked", "not enrolled"
  uint32_t sessions;
};

// Belongs to the bus thread. Revoking and removing end what depends on it before they return.
class AdminService {
 public:
  using PolicyReader = std::function<Result<policy::Policy>()>;

  AdminService(Daemon& daemon, Service& service, PolicyReader read_policy)
      : daemon_(daemon), service_(service), read_policy_(std::move(read_policy)) {}

  // Errors: kInvalidArgument (name), kAlreadyExists, kNotSupported, and the custodian's.
  void GenerateKey(KeyRecord key, uint32_t caller, const KeyRing::VersionDone& done);
  void RotateKey(const std::string& name, uint32_t caller, const KeyRing::VersionDone& done);
  // version 0: all. Gives the number of sessions that ended. Errors: kNotFound, kIo.
  Result<uint32_t> RevokeKey(const std::string& name, uint32_t version);
  void DestroyKey(const std::string& name, uint32_t caller,
                  const std::function<void(Result<uint32_t>)>& done);

  // Errors: kNotFound (the policy has no such module, or there is no such key), kInvalidArgument
  // (the policy does not grant it the key), kNotSupported (not an Ed25519 key), kAlreadyExists.
  Result<void> EnrolModule(const std::string& module, const std::string& key);
  // Both removals give the number of sessions that ended. Errors: kNotFound, the store's.
  Result<uint32_t> RemoveModule(const std::string& module);
  // `spki`: DER SubjectPublicKeyInfo, Ed25519. Errors: kInvalidArgument (name), kMalformed,
  // kNotSupported, kAlreadyExists, the store's.
  Result<void> EnrolPeer(const std::string& peer, ByteView spki);
  Result<uint32_t> RemovePeer(const std::string& peer);

  std::vector<ModuleStatus> ListModules() const;
  std::vector<std::shared_ptr<LiveSession>> ListSessions() const { return daemon_.sessions.All(); }
  // By id, or all of a module's, or all. Errors: kNotFound (id).
  Result<uint32_t> EndSessions(std::optional<uint64_t> id, const std::string& module);

  // The old policy stays in force when the new one does not hold; what the new one no longer allows
  // ends. Custodians are set up at start only. Errors: kConfiguration, kIo.
  Result<void> ReloadPolicy();

 private:
  uint32_t EndDependants(const std::string& key, const std::vector<KeyId>& versions);
  uint32_t EndSessionsWith(const std::string& name, const Error& reason);
  ModuleStatus StatusOf(const std::string& module) const;

  Daemon& daemon_;
  Service& service_;
  PolicyReader read_policy_;
};

}  // namespace keyward
