#include "keyd/admin_service.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/encoding.h"
#include "keyd/audit_events.h"
#include "keyd/joint_outcome.h"
#include "keyd/log.h"
#include "policy/name_rules.h"

namespace keyward {
namespace {

using audit::EventKind;

Result<void> CheckName(std::string_view name) {
  if (policy::IsName(name)) return {};
  return Fail(ErrorCode::kInvalidArgument, std::string("a name is ").append(policy::kNameRule));
}

Error IsReserved() {
  return {ErrorCode::kInvalidArgument,
          "the name is that of keyd's own key, which it makes itself; take another"};
}

Error WasSealed() { return {ErrorCode::kSealed, "the service was sealed"}; }

// Tells how many sessions ended once `recorded` is known.
AdminService::Done Telling(const AdminService::Ended& done,
                           const std::shared_ptr<uint32_t>& ended) {
  return [done, ended](Result<void> recorded) {
    if (!recorded) return done(Fail(recorded.error()));
    done(*ended);
  };
}

void LogKey(const std::string& name, uint32_t version, const char* what) {
  Log(LogLevel::kNotice, "key '{}' {}{}", name,
      version == 0 ? "" : fmt::format("version {} ", version), what);
}

// By the module that the session was opened as: that another one of the caller's would do is no
// reason to go on under the old one's name.
bool StillAllowed(const policy::Policy& rules, const SessionInfo& session) {
  const policy::Module* module = rules.FindModule(session.module);
  if (module == nullptr || !module->members.Include(session.caller)) return false;
  const auto grant = module->keys.find(session.key->key().name);
  return grant != module->keys.end() && grant->second.contains(Purpose::kAico) &&
         module->peers.contains(session.peer);
}

}  // namespace

std::unexpected<Error> AdminService::Refuse(const audit::Event& event, Error why) {
  daemon_.audit.RecordRefusal(event, why);
  return Fail(std::move(why));
}

void AdminService::GenerateKey(const KeyRecord& key, uint32_t caller,
                               const KeyRing::VersionDone& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  const audit::Event event = MakeEvent(EventKind::kKeyGenerate, caller, key.name);
  if (const Result<void> good = CheckName(key.name); !good) {
    return done(Refuse(event, good.error()));
  }
  if (key.name == policy::kServiceKeyName) return done(Refuse(event, IsReserved()));
  (*vault)->keys().Generate(key, caller,
                            [name = key.name, done](Result<std::shared_ptr<KeyVersion>> version) {
                              if (version) Log(LogLevel::kNotice, "key '{}' made", name);
                              done(std::move(version));
                            });
}

void AdminService::RotateKey(const std::string& name, uint32_t caller,
                             const KeyRing::VersionDone& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  (*vault)->keys().Rotate(name, caller, [name, done](Result<std::shared_ptr<KeyVersion>> version) {
    if (version) {
      Log(LogLevel::kNotice, "key '{}' rotated to version {}", name, (*version)->number());
    }
    done(std::move(version));
  });
}

void AdminService::PrepareKey(const std::string& name, uint32_t caller,
                              const KeyRing::VersionDone& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  (*vault)->keys().Prepare(name, caller, done);
}

void AdminService::ActivateKey(const std::string& name, uint32_t caller,
                               const KeyRing::VersionDone& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  (*vault)->keys().Activate(name, caller, done);
}

void AdminService::RetireVersion(const std::string& name, uint32_t version, uint32_t caller,
                                 const Done& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  (*vault)->keys().Retire(name, version, caller, done);
}

void AdminService::RevokeKey(const std::string& name, uint32_t version, uint32_t caller,
                             const Ended& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  KeyRing& keys = (*vault)->keys();
  JointOutcome::Of(done, [&](JointOutcome& joint) {
    const Done part = joint.Part();
    const Result<std::vector<KeyId>> revoked =
        keys.Revoke(name, version, caller, [name, version, part](const Result<void>& recorded) {
          if (recorded) LogKey(name, version, "revoked");
          part(recorded);
        });
    if (!revoked) return part(Fail(revoked.error()));
    joint.CountEnded(EndDependants(keys, name, *revoked));
  });
}

void AdminService::DestroyKey(const std::string& name, uint32_t version, uint32_t caller,
                              const Ended& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  KeyRing& keys = (*vault)->keys();
  JointOutcome::Of(done, [&](JointOutcome& joint) {
    const Done part = joint.Part();
    const Result<std::vector<KeyId>> revoked = keys.Destroy(
        name, version, caller, [this, name, version, part](const Result<void>& destroyed) {
          ForgetDestroyed(name, version);
          if (destroyed) LogKey(name, version, "destroyed");
          part(destroyed);
        });
    if (!revoked) return part(Fail(revoked.error()));
    joint.CountEnded(EndDependants(keys, name, *revoked));
  });
}

// The store has forgotten whose identity it was once all of the key was destroyed at once.
void AdminService::ForgetDestroyed(const std::string& name, uint32_t version) {
  if (daemon_.vault == nullptr || version != 0) return;
  const Key* key = daemon_.vault->keys().Find(name);
  if (key != nullptr && key->IsDestroyed()) daemon_.vault->registry().ForgetIdentity(name);
}

uint32_t AdminService::EndDependants(const KeyRing& keys, const std::string& key,
                                     const std::vector<KeyId>& versions) {
  const Error reason(ErrorCode::kRevoked, "the key was revoked");
  service_.CloseKeyChannels(
      [&](const KeyHandle& handle) {
        const Key* known = keys.Find(key);
        return handle.key() == key && (known == nullptr || !known->active->Get());
      },
      reason);
  const std::set<KeyId> gone(versions.begin(), versions.end());
  return daemon_.sessions.EndWhere(
      [&](const SessionInfo& session) {
        return gone.contains(session.key->id()) ||
               std::ranges::any_of(session.peer_keys,
                                   [&](const KeyId& id) { return gone.contains(id); });
      },
      reason);
}

Result<void> AdminService::CheckIdentity(const KeyRing& keys, const std::string& module,
                                         const std::string& key) const {
  const policy::Module* rules = daemon_.policy->FindModule(module);
  if (rules == nullptr) {
    return Fail(ErrorCode::kNotFound,
                "security.yaml names no such module; add it, then keyctl policy reload");
  }
  const auto grant = rules->keys.find(key);
  if (grant == rules->keys.end() || !grant->second.contains(Purpose::kAico)) {
    return Fail(ErrorCode::kInvalidArgument,
                "security.yaml does not grant the module this key for 'aico'; add it, then "
                "keyctl policy reload");
  }
  const Key* identity = keys.Find(key);
  if (identity == nullptr) {
    return Fail(ErrorCode::kNotFound, "there is no such key; see keyctl key generate");
  }
  if (identity->record.algorithm != Algorithm::kEd25519) {
    return Fail(ErrorCode::kNotSupported, "a module's identity is an ed25519 key");
  }
  return {};
}

void AdminService::EnrolModule(const std::string& module, const std::string& key, uint32_t caller,
                               const Done& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  const auto rules = [this, &keys = (*vault)->keys(), module, key] {
    return CheckIdentity(keys, module, key);
  };
  (*vault)->registry().EnrolModule(
      module, key, rules, caller, [module, key, done](Result<void> enrolled) {
        if (enrolled) Log(LogLevel::kNotice, "module '{}' enrolled with key '{}'", module, key);
        done(std::move(enrolled));
      });
}

void AdminService::RemoveModule(const std::string& module, uint32_t caller, const Ended& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  auto ended = std::make_shared<uint32_t>(0);
  if ((*vault)->registry().IdentityOf(module) != nullptr) {
    Log(LogLevel::kNotice, "module '{}' removed", module);
    const Error reason(ErrorCode::kRevoked, "the module was removed");
    const policy::Module* rules = daemon_.policy->FindModule(module);
    service_.CloseKeyChannels(
        [&](const KeyHandle& handle) {
          return rules != nullptr && rules->members.Include(handle.caller()) &&
                 rules->keys.contains(handle.key());
        },
        reason);
    *ended = EndSessionsWith(module, reason);
  }
  (*vault)->registry().RemoveModule(module, caller, Telling(done, ended));
}

void AdminService::EnrolPeer(const std::string& peer, ByteView spki, uint32_t caller,
                             const Done& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  const audit::Event event = MakeEvent(EventKind::kPeerEnrol, caller, peer);
  if (const Result<void> good = CheckName(peer); !good) return done(Refuse(event, good.error()));
  const Result<PublicKey> key = PublicKey::FromSpki(spki);
  if (!key) return done(Refuse(event, key.error()));
  // An own key may be out as well: in a backup, say.
  const auto rules = [&keys = (*vault)->keys(), key = *key]() -> Result<void> {
    if (!keys.HasRevoked(key)) return {};
    return Fail(ErrorCode::kRevoked, "this key was revoked here");
  };
  (*vault)->registry().EnrolPeer(peer, *key, rules, caller, [peer, done](Result<void> enrolled) {
    if (enrolled) Log(LogLevel::kNotice, "peer '{}' enrolled", peer);
    done(std::move(enrolled));
  });
}

void AdminService::RemovePeer(const std::string& peer, uint32_t caller, const Ended& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  auto ended = std::make_shared<uint32_t>(0);
  if ((*vault)->registry().PeerKey(peer) != nullptr) {
    Log(LogLevel::kNotice, "peer '{}' removed", peer);
    *ended = EndSessionsWith(peer, Error(ErrorCode::kRevoked, "the peer was removed"));
  }
  (*vault)->registry().RemovePeer(peer, caller, Telling(done, ended));
}

void AdminService::RevokeModule(const std::string& name, uint32_t caller, const Ended& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  const Registry& registry = (*vault)->registry();
  const std::string* identity = registry.IdentityOf(name);
  if (identity == nullptr) identity = registry.RemovedIdentityOf(name);
  if (identity == nullptr) return RevokePeer(**vault, name, caller, done);
  const Key* known = (*vault)->keys().Find(*identity);
  const bool lives = known != nullptr && !known->IsDestroyed();
  JointOutcome::Of(done, [&, key = *identity](JointOutcome& joint) {
    RemoveModule(name, caller, joint.PartThatEnds());
    constexpr uint32_t kAllVersions = 0;
    if (lives) RevokeKey(key, kAllVersions, caller, joint.PartThatEnds());
  });
}

void AdminService::RevokePeer(Vault& vault, const std::string& name, uint32_t caller,
                              const Ended& done) {
  auto ended = std::make_shared<uint32_t>(0);
  if (vault.registry().PeerKey(name) != nullptr) {
    Log(LogLevel::kNotice, "peer '{}' revoked", name);
    *ended = EndSessionsWith(name, Error(ErrorCode::kRevoked, "the peer was revoked"));
  }
  vault.registry().RevokePeer(name, vault.keys().Now(), caller, Telling(done, ended));
}

uint32_t AdminService::EndSessionsWith(const std::string& name, const Error& reason) {
  return daemon_.sessions.EndWhere(
      [&](const SessionInfo& session) { return session.module == name || session.peer == name; },
      reason);
}

ModuleStatus AdminService::StatusOf(Vault& vault, const std::string& module) const {
  ModuleStatus status{module, false, "", "", "not enrolled", 0};
  status.sessions = static_cast<uint32_t>(daemon_.sessions.CountOf(module));
  const std::string* identity = vault.registry().IdentityOf(module);
  if (identity == nullptr) return status;
  status.key = *identity;
  const Key* key = vault.keys().Find(*identity);
  const Result<std::shared_ptr<KeyVersion>> version =
      key == nullptr ? Fail(ErrorCode::kNotFound, "") : key->active->Get();
  status.state = version ? "enrolled" : "revoked";
  if (version) status.fingerprint = ToHex((*version)->public_key().Fingerprint());
  return status;
}

Result<std::vector<ModuleStatus>> AdminService::ListModules() const {
  KEYWARD_ASSIGN(Vault* const vault, daemon_.Unsealed());
  std::set<std::string> names;
  for (const policy::Module& module : daemon_.policy->modules()) names.insert(module.name);
  for (const auto& [name, key] : vault->registry().modules()) names.insert(name);
  std::vector<ModuleStatus> all;
  all.reserve(names.size());
  for (const std::string& name : names) all.push_back(StatusOf(*vault, name));
  for (const auto& [name, key] : vault->registry().peers()) {
    const char* const state = vault->registry().IsRevoked(key) ? "revoked" : "enrolled";
    all.push_back({name, true, "", ToHex(key.Fingerprint()), state, 0});
  }
  return all;
}

Result<uint32_t> AdminService::EndSessions(std::optional<uint64_t> id, const std::string& module,
                                           uint32_t caller) {
  audit::Event event =
      ModuleEvent(EventKind::kSessionEnd, caller, module, id ? std::to_string(*id) : "");
  KEYWARD_TRY(daemon_.Unsealed());
  const auto chosen = [&](const SessionInfo& session) {
    return (!id || session.id == *id) && (module.empty() || session.module == module);
  };
  const auto count = std::ranges::count_if(
      daemon_.sessions.All(), [&](const auto& session) { return chosen(session->info()); });
  if (id && count == 0) {
    return Refuse(event, {ErrorCode::kNotFound, "there is no such session"});
  }
  event.detail = {{"sessions", static_cast<uint64_t>(count)}};
  KEYWARD_TRY(daemon_.audit.RecordReserved(event));
  return daemon_.sessions.EndWhere(chosen,
                                   Error(ErrorCode::kSessionClosed, "ended by an administrator"));
}

Result<void> AdminService::ReloadPolicy(uint32_t caller) {
  const audit::Event event = MakeEvent(EventKind::kPolicyReload, caller, "");
  Result<policy::Policy> fresh = read_policy_();
  if (!fresh) return Refuse(event, std::move(fresh).error());
  const std::string& custodian = unsealer_.record().custodian;
  if (custodian == "tpm" ? !fresh->tpm() : !fresh->hsm()) {
    return Refuse(event, {ErrorCode::kConfiguration,
                          "the master key is in the '" + custodian +
                              "', whose section is missing from security.yaml: put it back"});
  }
  KEYWARD_TRY(daemon_.audit.RecordOrWait(event));
  daemon_.policy = std::make_shared<const policy::Policy>(std::move(*fresh));
  const Error reason(ErrorCode::kPermissionDenied, "the policy does not allow it any more");
  const policy::Policy& rules = *daemon_.policy;
  const uint32_t ended = daemon_.sessions.EndWhere(
      [&](const SessionInfo& session) { return !StillAllowed(rules, session); }, reason);
  // A key handle carries the grants of its opening: every one is closed and may be opened anew.
  service_.CloseKeyChannels([](const KeyHandle&) { return true; },
                            Error(ErrorCode::kSessionClosed, "the policy was read again"));
  Log(LogLevel::kNotice, "security.yaml read again; {} sessions ended", ended);
  return {};
}

Result<void> AdminService::AddPcrPolicy(const SignedPcrPolicy& policy, uint32_t caller) {
  audit::Event event = MakeEvent(EventKind::kPolicyPcr, caller, "");
  event.detail = {{"pcrs", uint64_t{ToBits(policy.pcrs)}},
                  {"digest", audit::SafeText(ToHex(policy.digest))}};
  KEYWARD_TRY(daemon_.audit.RecordOrWait(event));
  const Result<void> added = unsealer_.AddPcrPolicy(policy);
  if (!added) return Refuse(event, added.error());
  attestation_.RenewIn(policy);
  return {};
}

void AdminService::SignAudit(uint32_t caller, const Done& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  AuditCheckpoints& checkpoints = (*vault)->checkpoints();
  if (!checkpoints.HasUnsigned()) return done({});
  const audit::Event event = MakeEvent(EventKind::kAuditSign, caller, "");
  if (const Result<void> told = daemon_.audit.Record(event); !told) return done(told);
  checkpoints.Sign([this, event, done](const Result<void>& made) {
    if (!made) daemon_.audit.RecordDone(Failed(event, made.error()));
    done(made);
  });
}

uint32_t AdminService::EndAllSessions() {
  return daemon_.sessions.EndWhere([](const SessionInfo&) { return true; }, WasSealed());
}

void AdminService::EndAllChannels() {
  service_.CloseKeyChannels([](const KeyHandle&) { return true; }, WasSealed());
  service_.endings().Record();
}

void AdminService::TellSeal(const audit::Event& event) {
  daemon_.audit.Flush();
  daemon_.audit.RecordDone(event);
  if (daemon_.vault == nullptr) return;
  daemon_.vault->schedule().WriteNotes();
  if (const Result<void> noted = daemon_.vault->journal().NoteAuditHead(); !noted) {
    LogError("writing down how far the audit log has come", noted.error());
  }
}

Result<uint32_t> AdminService::Seal(uint32_t caller) {
  const audit::Event event = MakeEvent(EventKind::kServiceSeal, caller, "");
  TellSeal(event);
  const uint32_t ended = EndAllSessions();
  const Result<void> marked = unsealer_.Seal();
  if (!marked) daemon_.audit.RecordDone(Failed(event, marked.error()));
  EndAllChannels();
  daemon_.audit.Close();
  KEYWARD_TRY(marked);
  return ended;
}

void AdminService::Unseal(uint32_t caller, const Done& done) {
  if (daemon_.vault != nullptr) return done({});
  unsealer_.Unseal(caller, [this, done](const Result<void>& unsealed) {
    if (unsealed) attestation_.Renew();
    done(unsealed);
  });
}

// In the order of docs/adr/0012-memory-first-in-an-emergency.md.
void AdminService::ZeroizeAll(uint32_t caller, const Ended& done) {
  const auto ended = std::make_shared<uint32_t>(EndAllSessions());
  unsealer_.WipeToZeroize();
  if (!daemon_.audit.is_open()) {
    LogLine(LogLevel::kWarning,
            "what is zeroized is in no record: the service was sealed, and its audit log closed");
  }
  daemon_.audit.RecordDone(MakeEvent(EventKind::kServiceSeal, caller, "zeroize"));
  unsealer_.ZeroizeAll([this, caller, tell = Telling(done, ended)](const Result<void>& destroyed) {
    TellZeroized(caller, destroyed);
    tell(destroyed);
  });
  EndAllChannels();
  daemon_.audit.Flush();
  daemon_.audit.EndTail();
}

void AdminService::TellZeroized(uint32_t caller, const Result<void>& destroyed) {
  const audit::Event event = MakeEvent(EventKind::kServiceZeroize, caller, "");
  daemon_.audit.RecordDone(destroyed ? event : Failed(event, destroyed.error()));
  if (destroyed) LogLine(LogLevel::kNotice, "zeroized: the master key is destroyed for ever");
  // Unless an admin has unsealed it, or is about to: what was not destroyed still opens.
  if (daemon_.vault == nullptr && !unsealer_.is_opening()) daemon_.audit.Close();
}

}  // namespace keyward
