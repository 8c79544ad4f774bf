#include "keyd/key_ring.h"

#include <algorithm>
#include <utility>

#include "keyd/audit_events.h"
#include "keyd/log.h"

namespace keyward {
namespace {

// The public keys that the lists of others have as revoked, and since when.
std::map<Fingerprint, WallTime> ListedIn(const StoredState& state) {
  std::map<Fingerprint, WallTime> listed;
  for (const RevocationRecord& record : state.revocations) {
    if (!record.issuer.empty()) {
      listed.emplace(record.revocation.fingerprint, record.revocation.at);
    }
  }
  return listed;
}

}  // namespace

Result<std::shared_ptr<KeyRing>> KeyRing::Create(Parts parts, const StoredState& state) {
  std::shared_ptr<KeyRing> ring(new KeyRing(std::move(parts)));
  KEYWARD_TRY(ring->Adopt(state));
  return ring;
}

Result<void> KeyRing::Adopt(const StoredState& state) {
  std::map<std::string, const KeyRecord*> records;
  for (const KeyRecord& key : state.keys) records[key.name] = &key;
  if (state.lifecycle_time) clock_.NotBefore(*state.lifecycle_time);
  const std::map<Fingerprint, WallTime> listed = ListedIn(state);
  for (VersionRecord version : state.versions) {
    const KeyRecord& key = *records.at(version.key);  // the store's foreign key
    KeySource source = SourceOf(key);
    clock_.NotBefore(std::max(version.created, version.activated.value_or(version.created)));
    if (version.state == VersionState::kPending && version.spki.empty()) {
      remains_->Note(version, key.custodian);
      continue;
    }
    KEYWARD_ASSIGN(PublicKey public_key, PublicKey::FromSpki(version.spki));
    // Of a list that was imported, when the version itself could not be revoked on disk.
    const auto named = listed.find(public_key.Fingerprint());
    if (named != listed.end() && !version.revoked && version.state != VersionState::kDestroyed) {
      version.state = VersionState::kRevoked;
      version.revoked = named->second;
      version.retire_at.reset();
      unrecorded_revocations_.emplace(version.id, named->second);
    }
    Key& entry = keys_.try_emplace(key.name, Key(key)).first->second;
    entry.Add(std::make_shared<KeyVersion>(key, version, std::move(public_key), std::move(source)));
  }
  return {};
}

const Key* KeyRing::FindLiving(std::string_view name) const {
  const Key* key = Find(name);
  return key == nullptr || key->IsDestroyed() ? nullptr : key;
}

const Key* KeyRing::Find(std::string_view name) const {
  const auto found = keys_.find(name);
  return found == keys_.end() ? nullptr : &found->second;
}

CustodianPool* KeyRing::PoolOf(std::string_view custodian) const {
  const auto found = parts_.pools.find(custodian);
  return found == parts_.pools.end() ? nullptr : found->second.get();
}

CustodianPool& KeyRing::ConfiguredOrNot(const std::string& custodian) {
  std::unique_ptr<CustodianPool>& pool = parts_.pools[custodian];
  if (pool == nullptr) {
    pool = std::make_unique<CustodianPool>(custodian, parts_.clock);
    Log(LogLevel::kWarning, "{}: its keys can be revoked and no more",
        pool->Status().failure->message());
  }
  return *pool;
}

KeySource KeyRing::SourceOf(const KeyRecord& key) {
  if (key.custody == Custody::kDerived) return parts_.transport_key;
  return &ConfiguredOrNot(key.custodian);
}

std::unexpected<Error> KeyRing::Refuse(const Request& request, const std::string& name, Error why) {
  const Key* known = Find(name);
  const audit::Event event = known == nullptr
                                 ? MakeEvent(request.kind, request.caller, name)
                                 : KeyEvent(request.kind, request.caller, known->record, 0);
  parts_.journal.trail().RecordRefusal(event, why);
  return Fail(std::move(why));
}

void KeyRing::Tell(const KeyVersion& version) const {
  parts_.changed({version.key().name, version.number(), version.id(), version.state()});
}

WallTime KeyRing::GraceFromNow(std::string_view key) const {
  return clock_.Now() + parts_.rules(key).grace_period;
}

std::map<std::string, std::vector<KeyReference>> KeyRing::HardwareReferences() const {
  std::map<std::string, std::vector<KeyReference>> references;
  for (const auto& [name, key] : keys_) {
    if (key.record.custody != Custody::kHardware) continue;
    for (const auto& version : key.versions) {
      if (version->state() == VersionState::kDestroyed) continue;
      references[key.record.custodian].push_back(version->reference());
    }
  }
  return references;
}

bool KeyRing::HasRevoked(const PublicKey& key) const {
  return std::ranges::any_of(keys_, [&key](const auto& entry) {
    return std::ranges::any_of(entry.second.versions, [&key](const auto& version) {
      return version->revoked() && version->public_key() == key;
    });
  });
}

void KeyRing::Seal() {
  for (const auto& [name, key] : keys_) {
    for (const std::shared_ptr<KeyVersion>& version : key.versions) version->Seal();
  }
}

}  // namespace keyward
