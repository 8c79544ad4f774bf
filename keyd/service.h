// What modules may ask of keyd: sessions and keys. Decides by the policy, then acts.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/unique_fd.h"
#include "keyd/daemon.h"
#include "keyd/endings.h"
#include "keyd/key_handle.h"

namespace keyward {

struct SessionRequest {
  std::string key;
  std::string protocol;
  std::string role;
  std::string peer;
  std::optional<uint32_t> timeout;  // seconds
};

struct OpenedSession {
  std::shared_ptr<LiveSession> session;
  UniqueFd channel;  // the client's end
};

// Belongs to the bus thread. What is given is in the audit log before it is, and so is what is
// refused. Errors of every call but FindSession: kSealed.
class Service {
 public:
  explicit Service(Daemon& daemon) : daemon_(daemon), endings_(daemon) {}

  // Of its sessions and key channels.
  Endings& endings() { return endings_; }

  // Errors: kUnknownProtocol, kInvalidArgument, kPermissionDenied, kPeerNotAllowed, kNotFound (the
  // peer is not enrolled), kRevoked, kResourceExhausted.
  Result<OpenedSession> OpenSession(const policy::Caller& caller, const SessionRequest& request);

  using SignDone = std::function<void(Result<Bytes>)>;
  // `done` is called once, here or later on this thread, with a signature that the caller is still
  // entitled to by then: a revocation in between withholds it. Errors: kPermissionDenied,
  // kNotFound, and those of KeyHandle::Sign.
  void Sign(const policy::Caller& caller, std::string_view key, const std::string& purpose,
            Bytes payload, const SignDone& done);

  // Errors: kPermissionDenied, kNotFound, kRevoked, kResourceExhausted (descriptors, or more than
  // 256 channels of one user).
  Result<UniqueFd> OpenKey(const policy::Caller& caller, std::string_view key);

  // The keys that the caller may know of.
  Result<std::vector<const Key*>> ListKeys(const policy::Caller& caller) const;

  // The session, if it is the caller's own. Errors: kNotFound.
  Result<std::shared_ptr<LiveSession>> FindSession(const policy::Caller& caller, uint64_t id) const;

  // Closes the key channels for which `which` holds.
  void CloseKeyChannels(const std::function<bool(const KeyHandle&)>& which, const Error& reason);

 private:
  // The active one, and those that are in their grace period.
  struct PeerIdentities {
    std::vector<PublicKey> keys;
    std::vector<KeyId> ids;  // when they are kept here
  };
  struct KeyChannel {
    std::weak_ptr<Channel> channel;
    std::shared_ptr<const KeyHandle> handle;
    std::shared_ptr<KeyChannelUse> use;
  };

  Result<std::shared_ptr<const KeyHandle>> FindKey(const policy::Caller& caller,
                                                   std::string_view key) const;
  // The signature, once it is told.
  Result<Bytes> ReleaseTold(const KeyHandle& handle, std::string_view purpose,
                            Result<Bytes> signature);
  Result<Bytes> StillEntitled(const KeyHandle& handle, std::string_view purpose,
                              const Result<Signature>& signature) const;
  static Result<const policy::Module*> ModuleWithIdentity(
      const Registry& registry, const std::vector<const policy::Module*>& modules,
      std::string_view key);
  static Result<PeerIdentities> IdentitiesOfPeer(Vault& vault, std::string_view peer);
  Result<std::unique_ptr<session::Engine>> MakeEngine(const policy::Module& module,
                                                      const SessionInfo& info,
                                                      std::vector<PublicKey> peer) const;
  Result<SessionInfo> Authorise(const KeyRing& keys, const policy::Caller& caller,
                                const SessionRequest& request, const policy::Module& module) const;
  Result<OpenedSession> Open(const policy::Caller& caller, const SessionRequest& request);
  Result<UniqueFd> OpenChannel(std::shared_ptr<const KeyHandle> handle);
  Result<std::shared_ptr<const KeyHandle>> FindUsableKey(const policy::Caller& caller,
                                                         std::string_view key);
  // On any thread.
  void TellKeyChannel(const KeyHandle& handle, KeyChannelUse& use);
  Result<UniqueFd> Launch(const std::shared_ptr<LiveSession>& session, uint32_t max_sessions);

  Daemon& daemon_;
  Endings endings_;
  std::vector<KeyChannel> key_channels_;
};

}  // namespace keyward
