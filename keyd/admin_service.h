// What admins may ask of keyd. The caller has been found to be one before any of this is called.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "keyd/attestation.h"
#include "keyd/service.h"
#include "keyd/unsealer.h"

namespace keyward {

struct ModuleStatus {
  std::string name;
  bool is_remote_peer;
  std::string key;          // empty for a remote peer
  std::string fingerprint;  // hex of SHA-256 of the identity's SPKI; empty when there is none
  std::string state;        // "enrolled", "revoked", "not enrolled"
  uint32_t sessions;
};

// Belongs to the bus thread. Revoking and removing end what depends on it before they return, and
// tell `done` when that is on disk and confirmed. `caller` is the admin's uid, for the audit log,
// which has what was asked for and what became of it. Errors of every call that needs what is
// stored: kSealed; those that do not are ListSessions, ReloadPolicy, Seal, ZeroizeAll, Unseal and
// AddPcrPolicy.
class AdminService {
 public:
  using PolicyReader = std::function<Result<policy::Policy>()>;
  using Done = std::function<void(Result<void>)>;
  using Ended = std::function<void(Result<uint32_t>)>;  // the number of sessions that ended

  AdminService(Daemon& daemon, Service& service, Unsealer& unsealer, Attestation& attestation,
               PolicyReader read_policy)
      : daemon_(daemon),
        service_(service),
        unsealer_(unsealer),
        attestation_(attestation),
        read_policy_(std::move(read_policy)) {}

  // Errors: kInvalidArgument (name), kAlreadyExists, kNotSupported, and the custodian's.
  void GenerateKey(const KeyRecord& key, uint32_t caller, const KeyRing::VersionDone& done);
  void RotateKey(const std::string& name, uint32_t caller, const KeyRing::VersionDone& done);
  // The two halves of a rotation: see KeyRing.
  void PrepareKey(const std::string& name, uint32_t caller, const KeyRing::VersionDone& done);
  void ActivateKey(const std::string& name, uint32_t caller, const KeyRing::VersionDone& done);
  // Ends a version's grace period now, and the sessions that rest on it.
  void RetireVersion(const std::string& name, uint32_t version, uint32_t caller, const Done& done);
  // version 0: all. Errors: kNotFound, kIo.
  void RevokeKey(const std::string& name, uint32_t version, uint32_t caller, const Ended& done);
  void DestroyKey(const std::string& name, uint32_t version, uint32_t caller, const Ended& done);

  // Errors: kNotFound (the policy has no such module, or there is no such key), kInvalidArgument
  // (the policy does not grant it the key), kNotSupported (not an Ed25519 key), kAlreadyExists.
  void EnrolModule(const std::string& module, const std::string& key, uint32_t caller,
                   const Done& done);
  // Errors of both removals: kNotFound, the journal's.
  void RemoveModule(const std::string& module, uint32_t caller, const Ended& done);
  // `spki`: DER SubjectPublicKeyInfo, Ed25519. Errors: kInvalidArgument (name), kMalformed,
  // kNotSupported, kAlreadyExists, the store's.
  void EnrolPeer(const std::string& peer, ByteView spki, uint32_t caller, const Done& done);
  void RemovePeer(const std::string& peer, uint32_t caller, const Ended& done);
  // A module: removes it and revokes its identity key, where that is not destroyed yet. A remote
  // peer: removes it, and its key is never trusted again. Errors: kNotFound, the journal's.
  void RevokeModule(const std::string& name, uint32_t caller, const Ended& done);
  // Every session with a module or peer of that name. Gives their number.
  uint32_t EndSessionsWith(const std::string& name, const Error& reason);

  Result<std::vector<ModuleStatus>> ListModules() const;
  std::vector<std::shared_ptr<LiveSession>> ListSessions() const { return daemon_.sessions.All(); }
  // By id, or all of a module's, or all. It is told first, from the reserve. Errors: kNotFound
  // (id), kSealed, those of AuditTrail::RecordReserved.
  Result<uint32_t> EndSessions(std::optional<uint64_t> id, const std::string& module,
                               uint32_t caller);

  // The old policy stays in force when the new one does not hold; what the new one no longer allows
  // ends. Custodians are set up at start only. Errors: kConfiguration, kIo.
  Result<void> ReloadPolicy(uint32_t caller);

  // Ends every session and channel and wipes every key before it returns; stays so over restarts.
  // It is told first. Gives the number of sessions that ended. Errors: kIo (sealed, but a restart
  // will unseal).
  Result<uint32_t> Seal(uint32_t caller);
  // The same, and what is stored becomes useless for ever. Memory is wiped before anything else:
  // the record follows it, and what becomes of the stored keys is told by another. Errors: see
  // Unsealer::ZeroizeAll.
  void ZeroizeAll(uint32_t caller, const Ended& done);
  // Nothing to be done where it serves. Errors: why it stays sealed.
  void Unseal(uint32_t caller, const Done& done);
  // Where it signs the state of now, and no PCR outside of it has left the quote of the boot, that
  // is attested anew. Errors: those of Unsealer::AddPcrPolicy and AuditTrail::RecordOrWait.
  Result<void> AddPcrPolicy(const SignedPcrPolicy& policy, uint32_t caller);
  // Nothing to be done where all is signed. Errors: those of AuditTrail::Record and
  // AuditCheckpoints::Sign.
  void SignAudit(uint32_t caller, const Done& done);
  Unsealer& unsealer() { return unsealer_; }
  Attestation& attestation() { return attestation_; }

 private:
  // The error of a request that nothing after it tells.
  std::unexpected<Error> Refuse(const audit::Event& event, Error why);
  // With all that was only counted by then, and bound into the store.
  void TellSeal(const audit::Event& event);
  // Wipes their keys, without a word to the disk. Gives their number.
  uint32_t EndAllSessions();
  // Closes every channel, and tells of all that has ended.
  void EndAllChannels();
  // What a ZeroizeAll came to; the last record before the log closes.
  void TellZeroized(uint32_t caller, const Result<void>& destroyed);
  void ForgetDestroyed(const std::string& name, uint32_t version);
  void RevokePeer(Vault& vault, const std::string& name, uint32_t caller, const Ended& done);
  uint32_t EndDependants(const KeyRing& keys, const std::string& key,
                         const std::vector<KeyId>& versions);
  // That `key` may be the identity of `module`.
  Result<void> CheckIdentity(const KeyRing& keys, const std::string& module,
                             const std::string& key) const;
  ModuleStatus StatusOf(Vault& vault, const std::string& module) const;

  Daemon& daemon_;
  Service& service_;
  Unsealer& unsealer_;
  Attestation& attestation_;
  PolicyReader read_policy_;
};

}  // namespace keyward
