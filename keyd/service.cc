#include "keyd/service.h"

#include <algorithm>
#include <utility>

#include "keyd/audit_events.h"
#include "keyd/session_channel.h"
#include "session/aico_engine.h"

namespace keyward {
namespace {

using audit::EventKind;

constexpr std::string_view kAico = "aico";
constexpr const char* kContext = "keyward";
constexpr ptrdiff_t kMaxKeyChannels = 256;  // of one user, so that none takes all descriptors

Result<session::Role> ParseRole(std::string_view role) {
  if (role == "initiator") return session::Role::kInitiator;
  if (role == "responder") return session::Role::kResponder;
  return Fail(ErrorCode::kInvalidArgument, "the role is 'initiator' or 'responder'");
}

Result<std::chrono::seconds> ChooseTimeout(const SessionRequest& request,
                                           std::chrono::seconds longest) {
  if (!request.timeout) return longest;
  const std::chrono::seconds wanted(*request.timeout);
  if (wanted.count() == 0 || wanted > longest) {
    return Fail(ErrorCode::kInvalidArgument,
                "the timeout is 1 second or more, and at most what the policy allows");
  }
  return wanted;
}

Error NoSuchKey() { return {ErrorCode::kNotFound, "there is no such key"}; }

audit::Event Requested(const policy::Caller& caller, const SessionRequest& request) {
  audit::Event event = MakeEvent(EventKind::kSessionOpen, caller.uid, "");
  event.detail = {{"key", audit::SafeText(request.key)}, {"peer", audit::SafeText(request.peer)}};
  return event;
}

audit::Event SignedFor(const KeyHandle& handle, std::string_view purpose) {
  audit::Event event = MakeEvent(EventKind::kKeySign, handle.caller().uid, handle.key());
  event.detail = {{"purpose", audit::SafeText(purpose)}};
  return event;
}

}  // namespace

Result<OpenedSession> Service::OpenSession(const policy::Caller& caller,
                                           const SessionRequest& request) {
  Result<OpenedSession> opened = Open(caller, request);
  if (!opened) {
    daemon_.audit.RecordRefusal(Requested(caller, request), opened.error());
    return opened;
  }
  if (Result<void> told = daemon_.audit.Record(SessionOpened(opened->session->info())); !told) {
    opened->session->End(told.error());
    return Fail(std::move(told).error());
  }
  return opened;
}

Result<OpenedSession> Service::Open(const policy::Caller& caller, const SessionRequest& request) {
  if (request.protocol != kAico) {
    return Fail(ErrorCode::kUnknownProtocol, "the protocol is 'aico'");
  }
  KEYWARD_ASSIGN(const std::vector<const policy::Module*> modules,
                 daemon_.policy->MayOpenSession(caller, request.key, Purpose::kAico, request.peer));
  KEYWARD_ASSIGN(Vault* const vault, daemon_.Unsealed());
  KEYWARD_ASSIGN(const policy::Module* const module,
                 ModuleWithIdentity(vault->registry(), modules, request.key));
  KEYWARD_ASSIGN(SessionInfo info, Authorise(vault->keys(), caller, request, *module));
  KEYWARD_ASSIGN(PeerIdentities peer, IdentitiesOfPeer(*vault, request.peer));
  info.peer_keys = std::move(peer.ids);
  KEYWARD_ASSIGN(std::unique_ptr<session::Engine> engine,
                 MakeEngine(*module, info, std::move(peer.keys)));
  info.id = daemon_.sessions.NextId();
  auto session = std::make_shared<LiveSession>(std::move(info), std::move(engine));
  KEYWARD_ASSIGN(UniqueFd client, Launch(session, module->limits.max_sessions));
  return OpenedSession{std::move(session), std::move(client)};
}

Result<const policy::Module*> Service::ModuleWithIdentity(
    const Registry& registry, const std::vector<const policy::Module*>& modules,
    std::string_view key) {
  for (const policy::Module* module : modules) {
    const std::string* identity = registry.IdentityOf(module->name);
    if (identity != nullptr && *identity == key) return module;
  }
  return Fail(ErrorCode::kPermissionDenied,
              "the module is not enrolled with this key; see keyctl module enrol");
}

Result<SessionInfo> Service::Authorise(const KeyRing& keys, const policy::Caller& caller,
                                       const SessionRequest& request,
                                       const policy::Module& module) const {
  const Key* key = keys.Find(request.key);
  if (key == nullptr) return Fail(NoSuchKey());
  KEYWARD_ASSIGN(const session::Role role, ParseRole(request.role));
  KEYWARD_ASSIGN(const std::chrono::seconds timeout,
                 ChooseTimeout(request, module.limits.session_timeout));
  KEYWARD_ASSIGN(std::shared_ptr<KeyVersion> version, key->active->Get());
  const MonotonicTime now = daemon_.clock.Monotonic();
  return SessionInfo{.id = 0,
                     .caller = caller,
                     .module = module.name,
                     .key = std::move(version),
                     .peer = request.peer,
                     .peer_keys = {},
                     .protocol = request.protocol,
                     .role = role,
                     .handshake_deadline = now + module.limits.handshake_timeout,
                     .deadline = now + timeout,
                     .boot = daemon_.boot.Name()};
}

Result<Service::PeerIdentities> Service::IdentitiesOfPeer(Vault& vault, std::string_view peer) {
  if (const PublicKey* remote = vault.registry().PeerKey(peer)) {
    if (vault.registry().IsRevoked(*remote)) {
      return Fail(ErrorCode::kRevoked, "the peer's key was revoked");
    }
    return PeerIdentities{{*remote}, {}};
  }
  const std::string* identity = vault.registry().IdentityOf(peer);
  const Key* key = identity == nullptr ? nullptr : vault.keys().Find(*identity);
  if (key == nullptr) {
    return Fail(Error(ErrorCode::kNotFound, "the peer is not enrolled; see keyctl module enrol")
                    .WithAction(Action::kAskAdmin));
  }
  KEYWARD_TRY(key->active->Get());
  PeerIdentities identities;
  for (const std::shared_ptr<KeyVersion>& version : key->Provable()) {
    identities.keys.push_back(version->public_key());
    identities.ids.push_back(version->id());
  }
  return identities;
}

Result<std::unique_ptr<session::Engine>> Service::MakeEngine(const policy::Module& module,
                                                             const SessionInfo& info,
                                                             std::vector<PublicKey> peer) const {
  session::AicoOptions options{.role = info.role,
                               .self = info.module,
                               .peer = info.peer,
                               .own_identity = info.key->public_key(),
                               .peer_identities = std::move(peer),
                               .context = kContext,
                               .max_message_size = module.limits.max_message_size};
  KEYWARD_ASSIGN(std::unique_ptr<session::AicoEngine> engine,
                 session::AicoEngine::Create(std::move(options), daemon_.clock, daemon_.rng));
  return engine;
}

Result<UniqueFd> Service::Launch(const std::shared_ptr<LiveSession>& session,
                                 uint32_t max_sessions) {
  KEYWARD_ASSIGN(auto pair, Channel::CreatePair(
                                std::make_shared<SessionChannelHandler>(session, daemon_.tokens)));
  const std::weak_ptr<Channel> channel = pair.first;
  session->OnEnd([this, channel, weak = std::weak_ptr(session)](const Error& reason) {
    if (const std::shared_ptr<Channel> open = channel.lock()) open->Refuse(reason);
    const std::shared_ptr<LiveSession> ended = weak.lock();  // by one who holds it
    daemon_.sessions.Remove(ended->info().id);
    endings_.Note(ended, channel);
  });
  KEYWARD_TRY(daemon_.sessions.Add(session, max_sessions));
  if (Result<void> served = daemon_.channels.Serve(pair.first); !served) {
    session->End(served.error());
    return Fail(served.error());
  }
  return std::move(pair.second);
}

Result<std::shared_ptr<const KeyHandle>> Service::FindKey(const policy::Caller& caller,
                                                          std::string_view name) const {
  KEYWARD_ASSIGN(Vault* const vault, daemon_.Unsealed());
  std::set<Purpose> granted;
  std::optional<Error> denied;
  const auto is_enrolled = [vault](const policy::Module* module) {
    return vault->registry().IdentityOf(module->name) != nullptr;
  };
  for (const Purpose purpose : kPurposes) {
    const auto modules = daemon_.policy->MayUseKey(caller, name, purpose);
    if (modules && std::ranges::any_of(*modules, is_enrolled)) {
      granted.insert(purpose);
    } else if (modules) {
      denied = Error(ErrorCode::kPermissionDenied,
                     "the module is not enrolled; see keyctl module enrol");
    } else if (!denied) {
      denied = modules.error();
    }
  }
  if (granted.empty() && denied) return Fail(*denied);
  const Key* key = vault->keys().Find(name);
  if (key == nullptr) return Fail(NoSuchKey());
  return std::make_shared<const KeyHandle>(caller, std::string(name), std::move(granted),
                                           key->active);
}

void Service::Sign(const policy::Caller& caller, std::string_view key, const std::string& purpose,
                   Bytes payload, const SignDone& done) {
  const Result<std::shared_ptr<const KeyHandle>> found = FindKey(caller, key);
  if (!found) {
    daemon_.audit.RecordRefusal(MakeEvent(EventKind::kKeySign, caller.uid, key), found.error());
    return done(Fail(found.error()));
  }
  const std::shared_ptr<const KeyHandle>& handle = *found;
  handle->Sign(purpose, std::move(payload),
               [this, handle, purpose, done](Result<Signature> signature) {
                 daemon_.post([this, handle, purpose, done, signature = std::move(signature)] {
                   done(ReleaseTold(*handle, purpose, StillEntitled(*handle, purpose, signature)));
                 });
               });
}

Result<Bytes> Service::ReleaseTold(const KeyHandle& handle, std::string_view purpose,
                                   Result<Bytes> signature) {
  const audit::Event event = SignedFor(handle, purpose);
  if (signature) {
    KEYWARD_TRY(daemon_.audit.Record(event));
  } else {
    daemon_.audit.RecordRefusal(event, signature.error());
  }
  return signature;
}

Result<Bytes> Service::StillEntitled(const KeyHandle& handle, std::string_view purpose,
                                     const Result<Signature>& signature) const {
  if (!signature) return Fail(signature.error());
  KEYWARD_TRY(signature->by->CheckUsable());
  KEYWARD_ASSIGN(const std::shared_ptr<const KeyHandle> current,
                 FindKey(handle.caller(), handle.key()));
  KEYWARD_TRY(current->Granted(purpose));
  return signature->bytes;
}

Result<std::shared_ptr<const KeyHandle>> Service::FindUsableKey(const policy::Caller& caller,
                                                                std::string_view name) {
  KEYWARD_ASSIGN(std::shared_ptr<const KeyHandle> handle, FindKey(caller, name));
  KEYWARD_TRY(handle->CheckUsable());
  std::erase_if(key_channels_, [](const KeyChannel& each) { return each.channel.expired(); });
  const auto open = std::ranges::count_if(key_channels_, [&caller](const KeyChannel& each) {
    return each.handle->caller().uid == caller.uid;
  });
  if (open < kMaxKeyChannels) return handle;
  return Fail(Error(ErrorCode::kResourceExhausted,
                    "this user has as many key channels as one may have; close some")
                  .WithAction(Action::kRetryLater));
}

Result<UniqueFd> Service::OpenKey(const policy::Caller& caller, std::string_view name) {
  const audit::Event event = MakeEvent(EventKind::kKeyOpen, caller.uid, name);
  Result<std::shared_ptr<const KeyHandle>> handle = FindUsableKey(caller, name);
  if (!handle) {
    daemon_.audit.RecordRefusal(event, handle.error());
    return Fail(std::move(handle).error());
  }
  KEYWARD_TRY(daemon_.audit.Record(event));
  Result<UniqueFd> channel = OpenChannel(std::move(*handle));
  if (!channel) daemon_.audit.RecordRefusal(event, channel.error());
  return channel;
}

Result<UniqueFd> Service::OpenChannel(std::shared_ptr<const KeyHandle> handle) {
  const auto use = std::make_shared<KeyChannelUse>();
  const auto closed = [this, handle, use] { TellKeyChannel(*handle, *use); };
  KEYWARD_ASSIGN(auto pair,
                 Channel::CreatePair(std::make_shared<KeyChannelHandler>(handle, use, closed)));
  KEYWARD_TRY(daemon_.channels.Serve(pair.first));
  key_channels_.push_back({pair.first, std::move(handle), use});
  return std::move(pair.second);
}

void Service::TellKeyChannel(const KeyHandle& handle, KeyChannelUse& use) {
  if (use.told.exchange(true)) return;
  audit::Event event = MakeEvent(EventKind::kKeyClose, handle.caller().uid, handle.key());
  event.detail = {{"signatures", use.signatures.load()}, {"refused", use.refused.load()}};
  endings_.Note(std::move(event));
}

Result<std::vector<const Key*>> Service::ListKeys(const policy::Caller& caller) const {
  KEYWARD_ASSIGN(Vault* const vault, daemon_.Unsealed());
  std::vector<const Key*> visible;
  for (const auto& [name, key] : vault->keys().keys()) {
    if (!key.IsDestroyed() && daemon_.policy->MaySee(caller, name)) visible.push_back(&key);
  }
  return visible;
}

Result<std::shared_ptr<LiveSession>> Service::FindSession(const policy::Caller& caller,
                                                          uint64_t id) const {
  std::shared_ptr<LiveSession> session = daemon_.sessions.Find(id);
  if (session == nullptr || session->info().caller.uid != caller.uid) {
    return Fail(ErrorCode::kNotFound, "there is no such session of yours");
  }
  return session;
}

void Service::CloseKeyChannels(const std::function<bool(const KeyHandle&)>& which,
                               const Error& reason) {
  std::erase_if(key_channels_, [&](const KeyChannel& each) {
    const std::shared_ptr<Channel> channel = each.channel.lock();
    if (channel != nullptr && !which(*each.handle)) return false;
    if (channel == nullptr) return true;
    channel->Close(reason);
    TellKeyChannel(*each.handle, *each.use);
    return true;
  });
  endings_.Record();
}

}  // namespace keyward
