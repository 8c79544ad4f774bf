#include "keyd/registry.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/encoding.h"
#include "keyd/audit_events.h"
#include "keyd/log.h"

namespace keyward {

using audit::EventKind;

namespace {

std::unexpected<Error> RemovedMeanwhile() {
  return Fail(ErrorCode::kNotFound, "it was removed meanwhile");
}

}  // namespace

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

void Registry::Enrol(Enrolment enrolment, const Rules& rules, const Store::Change& write,
                     const audit::Event& event, const std::function<void()>& enrol,
                     const Done& done) {
  if (const Result<void> good = rules(); !good) return done(Refuse(event, good.error()));
  const auto waiting = std::make_shared<Enrolment>(std::move(enrolment));
  waiting_.push_back(waiting);
  const auto change = [waiting, rules, write](StoreWriter& store) -> Result<void> {
    if (waiting->withdrawn) return RemovedMeanwhile();
    KEYWARD_TRY(rules());
    return write(store);
  };
  journal_.Commit(change, event, [this, waiting, enrol, done](const Journal::Outcome& outcome) {
    std::erase(waiting_, waiting);
    if (!outcome.written) return done(outcome.result);
    if (waiting->withdrawn) return done(RemovedMeanwhile());
    unrecorded_modules_.erase(waiting->name);  // of before
    unrecorded_peers_.erase(waiting->name);
    enrol();
    done(ToldOfWritten(outcome));
  });
}

bool Registry::Withdraw(std::string_view name) {
  bool waited = false;
  for (const std::shared_ptr<Enrolment>& each : waiting_) {
    if (each->name != name) continue;
    each->withdrawn = waited = true;
  }
  return waited;
}

void Registry::EnrolModule(const std::string& name, const std::string& key, const Rules& rules,
                           uint32_t caller, const Done& done) {
  const auto check = [this, name, key, rules]() -> Result<void> {
    KEYWARD_TRY(rules());
    return CheckModule(name, key);
  };
  Enrol(
      {.name = name, .identity = key, .peer = {}}, check,
      [name, key](StoreWriter& store) { return store.PutModule({name, key}); },
      ModuleEvent(EventKind::kModuleEnrol, caller, name, key),
      [this, name, key] { modules_[name] = key; }, done);
}

void Registry::Record(const Store::Change& change, Journal::Event event,
                      const Journal::Done& done) {
  ++recording_;
  journal_.CommitRegardless(change, std::move(event),
                            [this, done](const Journal::Outcome& outcome) {
                              --recording_;
                              done(outcome);
                            });
}

void Registry::RemoveModule(const std::string& name, uint32_t caller, const Done& done) {
  const std::string* identity = IdentityOf(name);
  if (identity == nullptr) identity = RemovedIdentityOf(name);
  const std::string key = identity == nullptr ? std::string() : *identity;
  const audit::Event event = ModuleEvent(EventKind::kModuleRemove, caller, name, key);
  const bool waited = Withdraw(name);
  if (identity == nullptr && !waited) {
    return done(Refuse(event, {ErrorCode::kNotFound, "the module is not enrolled"}));
  }
  modules_.erase(name);
  unrecorded_modules_.insert_or_assign(name, key);
  Record([name](StoreWriter& store) { return store.DeleteModule(name); }, event,
         [this, name, done](const Journal::Outcome& outcome) {
           if (outcome.written) unrecorded_modules_.erase(name);
           done(ToldOfHolding(outcome));
         });
}

void Registry::ForgetIdentity(const std::string& key) {
  std::erase_if(modules_, [&key](const auto& module) { return module.second == key; });
  for (const std::shared_ptr<Enrolment>& each : waiting_) {
    if (each->identity == key) each->withdrawn = true;
  }
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

void Registry::EnrolPeer(const std::string& name, const PublicKey& key, const Rules& rules,
                         uint32_t caller, const Done& done) {
  audit::Event event = MakeEvent(EventKind::kPeerEnrol, caller, name);
  event.detail.push_back({"fingerprint", audit::SafeText(ToHex(key.Fingerprint()))});
  const auto check = [this, name, key, rules]() -> Result<void> {
    KEYWARD_TRY(rules());
    return CheckPeer(name, key);
  };
  Enrol(
      {.name = name, .identity = {}, .peer = key}, check,
      [name, key](StoreWriter& store) { return store.PutPeer({name, key.spki()}); }, event,
      [this, name, key] { peers_.insert_or_assign(name, key); }, done);
}

void Registry::RemovePeer(const std::string& name, uint32_t caller, const Done& done) {
  const audit::Event event = MakeEvent(EventKind::kPeerRemove, caller, name);
  const bool waited = Withdraw(name);
  if (peers_.erase(name) == 0 && !waited && !unrecorded_peers_.contains(name)) {
    return done(Refuse(event, {ErrorCode::kNotFound, "there is no such peer"}));
  }
  Record([name](StoreWriter& store) { return store.DeletePeer(name); }, event,
         ToldOfPeer(name, done));
}

Journal::Done Registry::ToldOfPeer(const std::string& name, const Done& done) {
  unrecorded_peers_.insert(name);
  return [this, name, done](const Journal::Outcome& outcome) {
    if (outcome.written) unrecorded_peers_.erase(name);
    done(ToldOfHolding(outcome));
  };
}

void Registry::CommitOwed(const Store::Change& also, Journal::Event event,
                          const Journal::Done& done) {
  const auto change = [also, owed = owed_](StoreWriter& store) -> Result<void> {
    for (const auto& [key, record] : owed) KEYWARD_TRY(store.PutRevocation(record));
    return also(store);
  };
  Record(change, std::move(event), [this, owed = owed_, done](const Journal::Outcome& outcome) {
    if (outcome.written) {
      std::erase_if(owed_, [&owed](const auto& each) { return owed.contains(each.first); });
    }
    done(outcome);
  });
}

void Registry::RecordUnrecorded() {
  if (recording_ > 0) return;
  // An enrolment that waits takes the place of what was removed before it.
  const auto still = [this](const std::string& name) {
    return std::ranges::none_of(
        waiting_, [&](const auto& each) { return each->name == name && !each->withdrawn; });
  };
  std::vector<std::string> modules;
  for (const auto& [name, key] : unrecorded_modules_) {
    if (still(name)) modules.push_back(name);
  }
  std::vector<std::string> peers;
  std::ranges::copy_if(unrecorded_peers_, std::back_inserter(peers), still);
  if (modules.empty() && peers.empty() && owed_.empty()) return;
  const auto change = [modules, peers](StoreWriter& store) -> Result<void> {
    for (const std::string& name : modules) KEYWARD_TRY(store.DeleteModule(name));
    for (const std::string& name : peers) KEYWARD_TRY(store.DeletePeer(name));
    return {};
  };
  CommitOwed(change, std::nullopt,  // told when it was asked for
             [this, modules, peers](const Journal::Outcome& outcome) {
               if (!outcome.written) return;
               for (const std::string& name : modules) unrecorded_modules_.erase(name);
               for (const std::string& name : peers) unrecorded_peers_.erase(name);
               LogLine(LogLevel::kNotice, "what was removed and revoked is written now");
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
  const auto owe = [this, &name, now](const PublicKey& key) {
    Owe({{.fingerprint = key.Fingerprint(), .name = name, .version = 0, .at = now}, {}});
  };
  Withdraw(name);
  for (const std::shared_ptr<Enrolment>& each : waiting_) {
    if (each->name == name && each->peer) owe(*each->peer);
  }
  if (const auto peer = peers_.find(name); peer != peers_.end()) {
    owe(peer->second);
    peers_.erase(peer);
  }
  const RevocationRecord* const owed = OwedOf(name);  // by now, or since an attempt before
  if (owed == nullptr && unrecorded_peers_.contains(name)) return RemovePeer(name, caller, done);
  if (owed == nullptr) {
    return done(Refuse(event, {ErrorCode::kNotFound, "there is no such peer"}));
  }
  event.detail.push_back({"fingerprint", audit::SafeText(ToHex(owed->revocation.fingerprint))});
  CommitOwed([name](StoreWriter& store) { return store.DeletePeer(name); }, event,
             ToldOfPeer(name, done));
}

void Registry::Import(const std::vector<Revocation>& revocations, const Fingerprint& issuer,
                      uint32_t caller, const Done& done) {
  std::vector<RevocationRecord> fresh;
  std::set<Fingerprint> listed;
  for (const Revocation& each : revocations) {
    if (revoked_.contains(each.fingerprint) || !listed.insert(each.fingerprint).second) continue;
    fresh.push_back({each, ToBytes(issuer)});
  }
  const auto known = std::ranges::count(revocations_, ToBytes(issuer), &RevocationRecord::issuer);
  audit::Event event = ListImport(caller, issuer);
  event.detail.push_back({"added", uint64_t{fresh.size()}});
  if (revocations_.size() + fresh.size() > kMaxRevocations ||
      static_cast<size_t>(known) + fresh.size() > kMaxRevocationsOfIssuer) {
    return done(
        Refuse(event, {ErrorCode::kResourceExhausted,
                       "there are as many revocations as can be kept, or as one host may list"}));
  }
  for (const RevocationRecord& record : fresh) Owe(record);
  CommitOwed([](StoreWriter&) -> Result<void> { return {}; }, event,
             [done](const Journal::Outcome& outcome) { done(ToldOfHolding(outcome)); });
}

const std::string* Registry::IdentityOf(std::string_view module) const {
  const auto found = modules_.find(module);
  return found == modules_.end() ? nullptr : &found->second;
}

const std::string* Registry::RemovedIdentityOf(std::string_view module) const {
  const auto found = unrecorded_modules_.find(module);
  return found == unrecorded_modules_.end() ? nullptr : &found->second;
}

const PublicKey* Registry::PeerKey(std::string_view peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second;
}

}  // namespace keyward
