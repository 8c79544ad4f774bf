#include "keyd/registry.h"

#include <algorithm>
#include <utility>

#include "core/encoding.h"
#include "keyd/audit_events.h"

namespace keyward {

using audit::EventKind;

Result<std::unique_ptr<Registry>> Registry::Create(Journal& journal, const StoredState& state) {
  std::unique_ptr<Registry> registry(new Registry(journal));
  for (const ModuleRecord& module : state.modules) registry->modules_[module.name] = module.key;
  for (const PeerRecord& peer : state.peers) {
    KEYWARD_ASSIGN(PublicKey key, PublicKey::FromSpki(peer.spki));
    registry->peers_.emplace(peer.name, std::move(key));
  }
  for (const RevocationRecord& record : state.revocations) registry->Take(record);
  return registry;
}

std::unexpected<Error> Registry::Refuse(const audit::Event& event, Error why) {
  journal_.trail().RecordRefusal(event, why);
  return Fail(std::move(why));
}

void Registry::Take(const RevocationRecord& record) {
  revocations_.push_back(record);
  revoked_.insert(record.revocation.fingerprint);
}

void Registry::Owe(const RevocationRecord& record) {
  Take(record);
  owed_.insert_or_assign({record.revocation.fingerprint, record.issuer}, record);
}

Result<void> Registry::CheckModule(const std::string& name, const std::string& key) const {
  if (peers_.contains(name)) {
    return Fail(ErrorCode::kAlreadyExists, "a remote peer has that name; remove it first");
  }
  const std::string* current = IdentityOf(name);
  if (current != nullptr && *current != key) {
    return Fail(ErrorCode::kAlreadyExists,
                "the module is enrolled with another key; keyctl module remove it first");
  }
  return {};
}

void Registry::EnrolModule(const std::string& name, const std::string& key, const Rules& rules,
                           uint32_t caller, const Done& done) {
  const auto check = [this, name, key, rules]() -> Result<void> {
    KEYWARD_TRY(rules());
    return CheckModule(name, key);
  };
  const audit::Event event = ModuleEvent(EventKind::kModuleEnrol, caller, name, key);
  if (const Result<void> good = check(); !good) return done(Refuse(event, good.error()));
  const auto change = [check, name, key](StoreWriter& store) -> Result<void> {
    KEYWARD_TRY(check());
    return store.PutModule({name, key});
  };
  journal_.Commit(change, event, [this, name, key, done](const Journal::Outcome& outcome) {
    if (outcome.written) modules_[name] = key;
    done(outcome.result);
  });
}

Journal::Done Registry::Told(const std::string& name, const Done& done) {
  unrecorded_.insert(name);
  return [this, name, done](const Journal::Outcome& outcome) {
    if (outcome.written) unrecorded_.erase(name);
    done(outcome.result);
  };
}

void Registry::RemoveModule(const std::string& name, uint32_t caller, const Done& done) {
  const std::string* identity = IdentityOf(name);
  const audit::Event event = ModuleEvent(EventKind::kModuleRemove, caller, name,
                                         identity == nullptr ? std::string() : *identity);
  if (modules_.erase(name) == 0 && !unrecorded_.contains(name)) {
    return done(Refuse(event, {ErrorCode::kNotFound, "the module is not enrolled"}));
  }
  journal_.CommitRegardless([name](StoreWriter& store) { return store.DeleteModule(name); }, event,
                            Told(name, done));
}

void Registry::ForgetIdentity(const std::string& key) {
  std::erase_if(modules_, [&key](const auto& module) { return module.second == key; });
}

Result<void> Registry::CheckPeer(const std::string& name, const PublicKey& key) const {
  if (key.algorithm() != Algorithm::kEd25519) {
    return Fail(ErrorCode::kNotSupported, "a peer's identity is an Ed25519 key");
  }
  if (IsRevoked(key)) {
    return Fail(ErrorCode::kRevoked, "this key was revoked; have the peer make another");
  }
  if (modules_.contains(name)) {
    return Fail(ErrorCode::kAlreadyExists, "a module has that name; remove it first");
  }
  const PublicKey* current = PeerKey(name);
  if (current != nullptr && *current != key) {
    return Fail(ErrorCode::kAlreadyExists,
                "the peer is enrolled with another key; keyctl module remove it first");
  }
  return {};
}

void Registry::EnrolPeer(const std::string& name, const PublicKey& key, uint32_t caller,
                         const Done& done) {
  audit::Event event = MakeEvent(EventKind::kPeerEnrol, caller, name);
  event.detail.push_back({"fingerprint", audit::SafeText(ToHex(key.Fingerprint()))});
  if (const Result<void> good = CheckPeer(name, key); !good) {
    return done(Refuse(event, good.error()));
  }
  // Once more then, as what was asked for before may have changed the answer.
  const auto change = [this, name, key](StoreWriter& store) -> Result<void> {
    KEYWARD_TRY(CheckPeer(name, key));
    return store.PutPeer({name, key.spki()});
  };
  journal_.Commit(change, event, [this, name, key, done](const Journal::Outcome& outcome) {
    if (outcome.written) peers_.insert_or_assign(name, key);
    done(outcome.result);
  });
}

void Registry::RemovePeer(const std::string& name, uint32_t caller, const Done& done) {
  const audit::Event event = MakeEvent(EventKind::kPeerRemove, caller, name);
  if (peers_.erase(name) == 0 && !unrecorded_.contains(name)) {
    return done(Refuse(event, {ErrorCode::kNotFound, "there is no such peer"}));
  }
  journal_.CommitRegardless([name](StoreWriter& store) { return store.DeletePeer(name); }, event,
                            Told(name, done));
}

void Registry::CommitOwed(const Store::Change& also, audit::Event event,
                          const Journal::Done& done) {
  const auto change = [also, owed = owed_](StoreWriter& store) -> Result<void> {
    for (const auto& [key, record] : owed) KEYWARD_TRY(store.PutRevocation(record));
    return also(store);
  };
  journal_.CommitRegardless(
      change, std::move(event), [this, owed = owed_, done](const Journal::Outcome& outcome) {
        if (outcome.written) {
          std::erase_if(owed_, [&owed](const auto& each) { return owed.contains(each.first); });
        }
        done(outcome);
      });
}

const RevocationRecord* Registry::OwedOf(std::string_view peer) const {
  const auto found = std::ranges::find_if(owed_, [peer](const auto& owed) {
    return owed.second.revocation.name == peer && owed.second.issuer.empty();
  });
  return found == owed_.end() ? nullptr : &found->second;
}

void Registry::RevokePeer(const std::string& name, WallTime now, uint32_t caller,
                          const Done& done) {
  audit::Event event = MakeEvent(EventKind::kPeerRevoke, caller, name);
  if (const auto peer = peers_.find(name); peer != peers_.end()) {
    Owe({{.fingerprint = peer->second.Fingerprint(), .name = name, .version = 0, .at = now}, {}});
    peers_.erase(peer);
  }
  const RevocationRecord* const owed = OwedOf(name);  // by now, or since an attempt before
  if (owed == nullptr && unrecorded_.contains(name)) return RemovePeer(name, caller, done);
  if (owed == nullptr) {
    return done(Refuse(event, {ErrorCode::kNotFound, "there is no such peer"}));
  }
  event.detail.push_back({"fingerprint", audit::SafeText(ToHex(owed->revocation.fingerprint))});
  CommitOwed([name](StoreWriter& store) { return store.DeletePeer(name); }, event,
             Told(name, done));
}

void Registry::Import(const std::vector<Revocation>& revocations, const Fingerprint& issuer,
                      uint32_t caller, const Done& done) {
  std::vector<RevocationRecord> fresh;
  for (const Revocation& each : revocations) {
    if (!revoked_.contains(each.fingerprint)) fresh.push_back({each, ToBytes(issuer)});
  }
  audit::Event event = ListImport(caller, issuer);
  event.detail.push_back({"added", uint64_t{fresh.size()}});
  if (revocations_.size() + fresh.size() > kMaxRevocations) {
    return done(Refuse(
        event, {ErrorCode::kResourceExhausted, "there are as many revocations as can be kept"}));
  }
  for (const RevocationRecord& record : fresh) Owe(record);
  CommitOwed([](StoreWriter&) -> Result<void> { return {}; }, event,
             [done](const Journal::Outcome& outcome) { done(outcome.result); });
}

const std::string* Registry::IdentityOf(std::string_view module) const {
  const auto found = modules_.find(module);
  return found == modules_.end() ? nullptr : &found->second;
}

const PublicKey* Registry::PeerKey(std::string_view peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second;
}

}  // namespace keyward
