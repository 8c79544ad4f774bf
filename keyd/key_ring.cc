#include "keyd/key_ring.h"

#include <algorithm>
#include <utility>

#include "keyd/ask.h"
#include "keyd/audit_events.h"
#include "keyd/derived_key.h"
#include "keyd/log.h"

namespace keyward {
namespace {

using audit::EventKind;

// What the custodian's thread does to make a version.
Result<GeneratedKey> GenerateOn(Custodian& custodian, const KeyRecord& key, const KeyId& id,
                                Rng& rng) {
  if (key.custody == Custody::kSealed) return GenerateSealedKey(custodian, key.name, id, rng);
  return custodian.signer().GenerateKey(key.algorithm, id);
}

// What it does to end a key: `references` are its versions, `unrecorded` what failed ones left.
Result<void> DestroyOn(Signer& signer, const std::vector<KeyReference>& references,
                       const std::vector<KeyId>& unrecorded) {
  for (const KeyReference& reference : references) KEYWARD_TRY(signer.DestroyKey(reference));
  if (unrecorded.empty()) return {};
  return signer.DestroyUnrecorded(unrecorded);
}

Result<void> CheckCustody(const KeyRecord& key) {
  if (key.custody != Custody::kHardware && key.algorithm != Algorithm::kEd25519) {
    return Fail(ErrorCode::kNotSupported,
                "custody '" + std::string(Name(key.custody)) +
                    "' is for ed25519; make this key with custody 'hardware'");
  }
  if (key.custody == Custody::kDerived && !key.custodian.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "a derived key is made of the master key and has no custodian; name none");
  }
  return {};
}

Error NoSuchKey() { return {ErrorCode::kNotFound, "there is no such key"}; }

Error ChangeInProgress() {
  return Error(ErrorCode::kBusy, "another change of this key is in progress").WithRetryAfter(100);
}

std::unexpected<Error> RevokedMeanwhile() {
  return Fail(
      ErrorCode::kRevoked,
      "the key was revoked while its new version was made; rotate it again if it is to live");
}

Error NameNotFreeYet() {
  return Error(ErrorCode::kBusy,
               "a key of that name failed to be made and is removed when its token or TPM serves; "
               "see keyctl status, or take another name")
      .WithRetryAfter(1000);
}

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

std::unexpected<Error> NotRetiring() {
  return Fail(ErrorCode::kWrongState,
              "only a version that is retiring can be retired; rotate the key first");
}

Error SealedMeanwhile() {
  return {ErrorCode::kSealed, "the service was sealed before this came to its end"};
}

}  // namespace

void Key::Add(std::shared_ptr<KeyVersion> version) {
  if (version->state() == VersionState::kActive) active->Set(version);
  versions.push_back(std::move(version));
}

void Key::Activate(const std::shared_ptr<KeyVersion>& version, WallTime now, WallTime retire_at) {
  for (const std::shared_ptr<KeyVersion>& other : versions) other->Retire(retire_at);
  version->Activate(now);
  active->Set(version);
}

std::shared_ptr<KeyVersion> Key::Find(uint32_t number) const {
  const auto found = std::ranges::find(versions, number, &KeyVersion::number);
  return found == versions.end() ? nullptr : *found;
}

std::shared_ptr<KeyVersion> Key::Prepared() const {
  const auto found = std::ranges::find(versions, VersionState::kPending, &KeyVersion::state);
  return found == versions.end() ? nullptr : *found;
}

std::vector<std::shared_ptr<KeyVersion>> Key::Provable() const {
  std::vector<std::shared_ptr<KeyVersion>> provable;
  for (const std::shared_ptr<KeyVersion>& version : versions) {
    if (version->CheckUsable()) provable.push_back(version);
  }
  return provable;
}

bool Key::IsDestroyed() const {
  return std::ranges::all_of(versions, [](const std::shared_ptr<KeyVersion>& version) {
    return version->state() == VersionState::kDestroyed;
  });
}

Result<std::shared_ptr<KeyRing>> KeyRing::Create(Parts parts, const StoredState& state) {
  std::shared_ptr<KeyRing> ring(new KeyRing(std::move(parts)));
  KEYWARD_TRY(ring->Adopt(state));
  return ring;
}

Result<void> KeyRing::Adopt(const StoredState& state) {
  std::map<std::string, const KeyRecord*> records;
  for (const KeyRecord& key : state.keys) records[key.name] = &key;
  clock_.NotBefore(state.lifecycle_time);
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

void KeyRing::Generate(const KeyRecord& key, uint32_t caller, const VersionDone& done) {
  const Request request{EventKind::kKeyGenerate, caller};
  const Key* known = Find(key.name);
  if (known != nullptr && !known->IsDestroyed()) {
    return done(
        Refuse(request, key.name,
               {ErrorCode::kAlreadyExists, "a key of that name exists; rotate it instead"}));
  }
  if (const Result<void> fits = CheckCustody(key); !fits) {
    return done(Refuse(request, key.name, fits.error()));
  }
  if (!remains_->Of(key.name).empty()) return done(Refuse(request, key.name, NameNotFreeYet()));
  KeyRecord fresh = key;
  fresh.next_version = known == nullptr ? 1 : known->record.next_version;
  MakeVersion(std::move(fresh), Then::kActivate, request, done);
}

void KeyRing::Prepare(const std::string& name, uint32_t caller, const VersionDone& done) {
  const Request request{EventKind::kKeyPrepare, caller};
  const Key* key = FindLiving(name);
  if (key == nullptr) return done(Refuse(request, name, NoSuchKey()));
  if (key->Prepared() != nullptr) {
    return done(Refuse(
        request, name,
        {ErrorCode::kAlreadyExists, "a version of the key waits already; activate or destroy it"}));
  }
  MakeVersion(key->record, Then::kWait, request, done);
}

void KeyRing::Activate(const std::string& name, uint32_t caller, const VersionDone& done) {
  const Request request{EventKind::kKeyActivate, caller};
  const Key* key = FindLiving(name);
  const std::shared_ptr<KeyVersion> version = key == nullptr ? nullptr : key->Prepared();
  if (version == nullptr) {
    return done(Refuse(request, name,
                       key == nullptr
                           ? NoSuchKey()
                           : Error(ErrorCode::kNotFound,
                                   "no version of the key waits; keyctl key prepare makes one")));
  }
  if (in_progress_.contains(name)) return done(Refuse(request, name, ChangeInProgress()));
  in_progress_[name] = false;
  const WallTime now = clock_.Now();
  const WallTime retire_at = GraceFromNow(name);
  parts_.journal.Commit(
      [this, version, now, retire_at](StoreWriter& store) -> Result<void> {
        const bool waits = version->state() == VersionState::kPending;
        if (!waits || in_progress_.at(version->key().name)) return RevokedMeanwhile();
        return store.ActivateVersion(version->record(), now, retire_at);
      },
      KeyEvent(request.kind, caller, key->record, version->number()),
      [this, name, version, now, retire_at, done](const Journal::Outcome& outcome) {
        OnActivated(name, version, now, retire_at, outcome, done);
      });
}

void KeyRing::OnActivated(const std::string& name, const std::shared_ptr<KeyVersion>& version,
                          WallTime now, WallTime retire_at, const Journal::Outcome& outcome,
                          const VersionDone& done) {
  const bool revoked = in_progress_.extract(name).mapped();
  if (!outcome.written) return done(Fail(outcome.result.error()));
  if (revoked || version->state() != VersionState::kPending) return done(RevokedMeanwhile());
  Key& key = keys_.at(name);
  const std::vector<std::shared_ptr<KeyVersion>> before = key.Provable();
  key.Activate(version, now, retire_at);
  for (const std::shared_ptr<KeyVersion>& each : before) {
    if (each->retire_at() == retire_at) Tell(*each);
  }
  Tell(*version);
  if (!outcome.result) return done(Fail(ToldOfWritten(outcome).error()));
  done(version);
}

void KeyRing::Rotate(const std::string& name, uint32_t caller, const VersionDone& done) {
  const Request request{EventKind::kKeyRotate, caller};
  const Key* key = FindLiving(name);
  if (key == nullptr) return done(Refuse(request, name, NoSuchKey()));
  if (key->Prepared() != nullptr) return Activate(name, caller, done);
  MakeVersion(key->record, Then::kActivate, request, done);
}

void KeyRing::Retire(const std::string& name, uint32_t version, uint32_t caller, const Done& done) {
  const Key* key = FindLiving(name);
  const std::shared_ptr<KeyVersion> found = key == nullptr ? nullptr : key->Find(version);
  if (found == nullptr) {
    return done(Refuse({EventKind::kKeyRetire, caller}, name,
                       {ErrorCode::kNotFound, "there is no such version"}));
  }
  parts_.journal.Commit(
      [found](StoreWriter& store) -> Result<void> {
        if (found->state() != VersionState::kRetiring) return NotRetiring();
        return store.RetireVersion(found->id());
      },
      KeyEvent(EventKind::kKeyRetire, caller, key->record, version),
      [this, found, done](const Journal::Outcome& outcome) {
        if (!outcome.written) return done(outcome.result);
        found->EndGrace();
        Tell(*found);
        done(ToldOfWritten(outcome));
      });
}

VersionRecord KeyRing::NextOf(KeyRecord& key) {
  VersionRecord version{};
  version.key = key.name;
  version.number = key.next_version++;
  version.state = VersionState::kPending;
  version.created = clock_.Now();
  parts_.rng.Fill(version.id);
  return version;
}

Result<VersionRecord> KeyRing::Announce(KeyRecord& key) {
  VersionRecord version = NextOf(key);
  KEYWARD_TRY(
      parts_.journal.Note([&](StoreWriter& store) { return store.AnnounceVersion(key, version); }));
  if (const auto known = keys_.find(key.name); known != keys_.end()) {
    known->second.record.next_version = key.next_version;
  }
  return version;
}

Result<void> KeyRing::CheckCanMake(const KeyRecord& key) const {
  const CustodianPool* const pool = PoolOf(key.custodian);
  if (key.custody != Custody::kDerived && (pool == nullptr || !pool->configured())) {
    return Fail(ErrorCode::kNotSupported, "security.yaml configures no such custodian");
  }
  if (in_progress_.contains(key.name)) return Fail(ChangeInProgress());
  // Before the hardware makes what the full disk would then have it remove.
  return parts_.journal.trail().CheckRoom();
}

void KeyRing::MakeVersion(KeyRecord key, Then then, const Request& request,
                          const VersionDone& done) {
  if (const Result<void> can = CheckCanMake(key); !can) {
    return done(Refuse(request, key.name, can.error()));
  }
  if (key.custody == Custody::kDerived) return MakeDerived(std::move(key), then, request, done);
  const Result<VersionRecord> version = Announce(key);
  if (!version) return done(Refuse(request, key.name, version.error()));
  in_progress_[key.name] = false;
  Ask<GeneratedKey>(
      *PoolOf(key.custodian), request.caller, parts_.post,
      [key, id = version->id, rng = &parts_.rng](Custodian& custodian) {
        return GenerateOn(custodian, key, id, *rng);
      },
      [weak = weak_from_this(), key, version = *version, then, request,
       done](const Result<GeneratedKey>& made) {
        if (const auto self = weak.lock()) {
          return self->OnGenerated(key, version, then, request, made, done);
        }
        done(Fail(SealedMeanwhile()));
      });
}

// No hardware could be left with something of it, so it is not announced: one commit has it all.
void KeyRing::MakeDerived(KeyRecord key, Then then, const Request& request,
                          const VersionDone& done) {
  const VersionRecord version = NextOf(key);
  in_progress_[key.name] = false;
  OnGenerated(key, version, then, request,
              GenerateDerivedKey(*parts_.transport_key, key.name, version.number, parts_.rng),
              done);
}

void KeyRing::OnGenerated(const KeyRecord& key, VersionRecord version, Then then,
                          const Request& request, const Result<GeneratedKey>& made,
                          const VersionDone& done) {
  const bool revoked = in_progress_.at(key.name);
  if (!made || revoked) {
    GiveUp(key, version);
    return done(Refuse(request, key.name, revoked ? RevokedMeanwhile().error() : made.error()));
  }
  version.spki = made->public_key.spki();
  version.reference = made->reference;
  const WallTime retire_at = GraceFromNow(key.name);
  if (then == Then::kActivate) {
    version.state = VersionState::kActive;
    version.activated = clock_.Now();
  }
  parts_.journal.Commit(
      [this, key, version, retire_at](StoreWriter& store) -> Result<void> {
        if (in_progress_.at(version.key)) return RevokedMeanwhile();
        if (key.custody == Custody::kDerived) KEYWARD_TRY(store.AnnounceVersion(key, version));
        KEYWARD_TRY(store.RecordMade(version));
        if (!version.activated) return {};
        return store.ActivateVersion(version, *version.activated, retire_at);
      },
      KeyEvent(request.kind, request.caller, key, version.number),
      [this, key, version, public_key = made->public_key, retire_at,
       done](const Journal::Outcome& outcome) {
        OnRecorded(key, version, public_key, retire_at, outcome, done);
      });
}

void KeyRing::OnRecorded(const KeyRecord& key, const VersionRecord& version,
                         const PublicKey& public_key, WallTime retire_at,
                         const Journal::Outcome& outcome, const VersionDone& done) {
  if (!outcome.written) {
    GiveUp(key, version);
    return done(Fail(outcome.result.error()));
  }
  Key& entry = keys_.try_emplace(key.name, Key(key)).first->second;
  entry.record = key;  // a destroyed one may have been of another kind
  VersionRecord pending = version;
  pending.state = VersionState::kPending;
  const auto added = std::make_shared<KeyVersion>(key, pending, public_key, SourceOf(key));
  entry.Add(added);
  if (version.activated && !in_progress_.at(key.name)) {
    return OnActivated(key.name, added, *version.activated, retire_at, outcome, done);
  }
  if (in_progress_.extract(key.name).mapped()) {  // which the store was told after it was made
    added->Revoke(clock_.Now());
    return done(RevokedMeanwhile());
  }
  Tell(*added);
  if (!outcome.result) return done(Fail(ToldOfWritten(outcome).error()));
  done(added);
}

// A custodian that failed removed what it made, unless it went away; one whose work came too late
// has it still. The sweep asks it before the announcement is forgotten. A derived version is
// nowhere but in the store, if at all.
void KeyRing::GiveUp(const KeyRecord& key, const VersionRecord& version) {
  in_progress_.erase(key.name);
  if (key.custody == Custody::kDerived) {
    if (const Result<void> settled = parts_.journal.Settle(); !settled) {
      LogError("settling a key that was not made", settled.error());
    }
    return;
  }
  remains_->Note(version, key.custodian);
  remains_->Sweep(*PoolOf(key.custodian));
}

Result<std::vector<KeyId>> KeyRing::Revoke(const std::string& name, uint32_t version,
                                           uint32_t caller, const Done& recorded) {
  const Request request{EventKind::kKeyRevoke, caller};
  const Key* key = Find(name);
  if (key == nullptr) return Refuse(request, name, NoSuchKey());
  std::vector<KeyId> ids;
  for (const std::shared_ptr<KeyVersion>& each : key->versions) {
    if (each->state() == VersionState::kDestroyed) continue;
    if (version == 0 || each->number() == version) ids.push_back(each->id());
  }
  if (ids.empty()) {
    return Refuse(request, name, {ErrorCode::kNotFound, "the key has no such version"});
  }
  // Nothing is signed any more even if the disk is full.
  if (const auto change = in_progress_.find(name); change != in_progress_.end() && version == 0) {
    change->second = true;
  }
  const WallTime now = clock_.Now();
  for (const std::shared_ptr<KeyVersion>& each : key->versions) {
    if (std::ranges::find(ids, each->id()) == ids.end()) continue;
    each->Revoke(now);
    Tell(*each);
  }
  parts_.journal.CommitRegardless(
      [name, version, id = ids.front(), now](StoreWriter& store) {
        return version == 0 ? store.RevokeKey(name, now) : store.RevokeVersion(id, now);
      },
      KeyEvent(request.kind, caller, key->record, version),
      [weak = weak_from_this(), ids, now, recorded](const Journal::Outcome& outcome) {
        if (const auto self = weak.lock()) self->NoteRevoked(ids, now, outcome.written);
        recorded(ToldOfHolding(outcome));
      });
  return ids;
}

void KeyRing::NoteRevoked(const std::vector<KeyId>& ids, WallTime at, bool written) {
  for (const KeyId& id : ids) {
    if (written) {
      unrecorded_revocations_.erase(id);
    } else {
      unrecorded_revocations_.try_emplace(id, at);
    }
  }
}

void KeyRing::RecordRevocations() {
  if (unrecorded_revocations_.empty() || recording_revocations_) return;
  recording_revocations_ = true;
  parts_.journal.CommitRegardless(
      [owed = unrecorded_revocations_](StoreWriter& store) -> Result<void> {
        for (const auto& [id, at] : owed) KEYWARD_TRY(store.RevokeVersion(id, at));
        return {};
      },
      std::nullopt,  // told when it was asked for
      [weak = weak_from_this(), owed = unrecorded_revocations_](const Journal::Outcome& outcome) {
        const auto self = weak.lock();
        if (self == nullptr) return;
        self->recording_revocations_ = false;
        if (!outcome.written) return;
        for (const auto& [id, at] : owed) self->unrecorded_revocations_.erase(id);
        LogLine(LogLevel::kNotice, "the revocations that could not be written are written now");
      });
}

Result<std::vector<KeyId>> KeyRing::Destroy(const std::string& name, uint32_t version,
                                            uint32_t caller, const Done& done) {
  return Revoke(name, version, caller, [this, name, version, caller, done](Result<void> recorded) {
    if (!recorded) return done(std::move(recorded));
    DestroyRevoked(name, version, caller, done);
  });
}

void KeyRing::DestroyRevoked(const std::string& name, uint32_t version, uint32_t caller,
                             const Done& done) {
  const Request request{EventKind::kKeyDestroy, caller};
  if (in_progress_.contains(name)) return done(Refuse(request, name, ChangeInProgress()));
  const Key* found = FindLiving(name);
  if (found == nullptr) return done({});  // another admin was faster
  std::vector<KeyReference> references;
  std::vector<KeyId> unrecorded;
  if (found->record.custody == Custody::kHardware) {
    for (const auto& each : found->versions) {
      const bool meant = version == 0 || each->number() == version;
      if (meant && each->state() != VersionState::kDestroyed) {
        references.push_back(each->reference());
      }
    }
    if (version == 0) unrecorded = remains_->Of(name);
  }
  in_progress_[name] = false;
  if (found->record.custody == Custody::kDerived) {
    return OnDestroyed(name, version, caller, done);  // the salt goes, and with it the seed
  }
  Ask<void>(
      *PoolOf(found->record.custodian), caller, parts_.post,
      [references, unrecorded](Custodian& custodian) {
        return DestroyOn(custodian.signer(), references, unrecorded);
      },
      [weak = weak_from_this(), name, version, request, done](const Result<void>& destroyed) {
        const auto self = weak.lock();
        if (self == nullptr) return done(Fail(SealedMeanwhile()));
        if (destroyed) return self->OnDestroyed(name, version, request.caller, done);
        self->in_progress_.erase(name);
        done(self->Refuse(request, name, destroyed.error()));
      });
}

void KeyRing::OnDestroyed(const std::string& name, uint32_t version, uint32_t caller,
                          const Done& done) {
  const std::shared_ptr<KeyVersion> one = version == 0 ? nullptr : keys_.at(name).Find(version);
  // The private half is gone: there is nothing to refuse any more.
  parts_.journal.CommitRegardless(
      [name, one](StoreWriter& store) {
        return one == nullptr ? store.DestroyKey(name) : store.DestroyVersion(one->id());
      },
      KeyEvent(EventKind::kKeyDestroy, caller, keys_.at(name).record, version),
      [this, name, one, done](const Journal::Outcome& outcome) {
        in_progress_.erase(name);
        if (!outcome.written) return done(outcome.result);
        for (const std::shared_ptr<KeyVersion>& each : keys_.at(name).versions) {
          if (one != nullptr && one != each) continue;
          each->MarkDestroyed();
          Tell(*each);
        }
        if (one == nullptr) remains_->Forget(name);
        done(ToldOfWritten(outcome));
      });
}

void KeyRing::Tell(const KeyVersion& version) const {
  parts_.changed({version.key().name, version.number(), version.id(), version.state()});
}

WallTime KeyRing::GraceFromNow(std::string_view key) const {
  return clock_.Now() + parts_.rules(key).grace_period;
}

void KeyRing::EndGracePeriods() {
  for (const auto& [name, key] : keys_) {
    for (const std::shared_ptr<KeyVersion>& version : key.versions) {
      const std::optional<WallTime> retire_at = version->retire_at();
      if (!retire_at || *retire_at > clock_.Now()) continue;
      if (version->state() != VersionState::kRetiring) continue;
      parts_.journal.trail().RecordDone(
          KeyEvent(EventKind::kKeyRetire, kDaemonItself, key.record, version->number()));
      version->EndGrace();
      Tell(*version);
      unrecorded_ends_.insert(version->id());
    }
  }
  if (unrecorded_ends_.empty() || recording_ends_) return;
  recording_ends_ = true;
  parts_.journal.Commit(
      [ids = unrecorded_ends_](StoreWriter& store) -> Result<void> {
        for (const KeyId& id : ids) KEYWARD_TRY(store.RetireVersion(id));
        return {};
      },
      std::nullopt,  // told above, once
      [this, ids = unrecorded_ends_](const Journal::Outcome& outcome) {
        recording_ends_ = false;
        if (outcome.written)
          std::erase_if(unrecorded_ends_, [&](const KeyId& id) { return ids.contains(id); });
      });
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
