#include "keyd/key_ring.h"

#include <algorithm>
#include <utility>

#include "keyd/log.h"

namespace keyward {
namespace {

// What the custodian's thread does to make a version.
Result<GeneratedKey> GenerateOn(Custodian& custodian, const KeyRecord& key, const KeyId& id,
                                Rng& rng) {
  if (key.custody == Custody::kSealed) return GenerateSealedKey(custodian, key.name, id, rng);
  return custodian.signer().GenerateKey(key.algorithm, id);
}

// What it does to end a key: `references` are its versions, `unrecorded` what failed ones left.
Result<void> DestroyOn(const Result<Custodian*>& custodian,
                       const std::vector<KeyReference>& references,
                       const std::vector<KeyId>& unrecorded) {
  if (!custodian) return Fail(custodian.error());
  Signer& signer = (*custodian)->signer();
  for (const KeyReference& reference : references) KEYWARD_TRY(signer.DestroyKey(reference));
  if (unrecorded.empty()) return {};
  return signer.DestroyUnrecorded(unrecorded);
}

Result<void> CheckCustody(const KeyRecord& key) {
  if (key.custody == Custody::kSealed && key.algorithm != Algorithm::kEd25519) {
    return Fail(ErrorCode::kNotSupported,
                "custody 'sealed' is for ed25519; make this key with custody 'hardware'");
  }
  return {};
}

std::unexpected<Error> ChangeInProgress() {
  return Fail(
      Error(ErrorCode::kBusy, "another change of this key is in progress").WithRetryAfter(100));
}

std::unexpected<Error> RevokedMeanwhile() {
  return Fail(
      ErrorCode::kRevoked,
      "the key was revoked while its new version was made; rotate it again if it is to live");
}

std::unexpected<Error> NameNotFreeYet() {
  return Fail(Error(ErrorCode::kBusy,
                    "a key of that name failed to be made and is removed when its token or TPM "
                    "serves; see keyctl status, or take another name")
                  .WithRetryAfter(1000));
}

template <class T>
Result<void> Outcome(const Result<T>& result) {
  if (!result) return Fail(result.error());
  return {};
}

}  // namespace

void Key::Add(std::shared_ptr<KeyVersion> version) {
  if (version->state() == VersionState::kActive) {
    for (const std::shared_ptr<KeyVersion>& older : versions) older->Retire();
    active->Set(version);
  }
  versions.push_back(std::move(version));
}

Result<std::unique_ptr<KeyRing>> KeyRing::Create(Parts parts, const StoredState& state) {
  std::unique_ptr<KeyRing> ring(new KeyRing(std::move(parts)));
  KEYWARD_TRY(ring->Adopt(state));
  return ring;
}

Result<void> KeyRing::Adopt(const StoredState& state) {
  std::map<std::string, const KeyRecord*> records;
  for (const KeyRecord& key : state.keys) records[key.name] = &key;
  for (const VersionRecord& version : state.versions) {
    const KeyRecord& key = *records.at(version.key);  // the store's foreign key
    CustodianPool& pool = ConfiguredOrNot(key.custodian);
    if (version.state == VersionState::kPending) {
      NoteRemains(version, key.custodian);
      continue;
    }
    KEYWARD_ASSIGN(PublicKey public_key, PublicKey::FromSpki(version.spki));
    Key& entry = keys_.try_emplace(key.name, Key(key)).first->second;
    entry.Add(std::make_shared<KeyVersion>(key, version, std::move(public_key), pool));
  }
  return {};
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

void KeyRing::Generate(const KeyRecord& key, uint32_t caller, const VersionDone& done) {
  if (keys_.contains(key.name)) {
    return done(Fail(ErrorCode::kAlreadyExists, "a key of that name exists; rotate it instead"));
  }
  if (Result<void> fits = CheckCustody(key); !fits) return done(Fail(fits.error()));
  if (HasRemains(key.name)) return done(NameNotFreeYet());
  MakeVersion(key, caller, done);
}

void KeyRing::Rotate(const std::string& name, uint32_t caller, const VersionDone& done) {
  const Key* key = Find(name);
  if (key == nullptr) return done(Fail(ErrorCode::kNotFound, "there is no such key"));
  MakeVersion(key->record, caller, done);
}

Result<VersionRecord> KeyRing::Announce(KeyRecord& key) {
  VersionRecord version{};
  version.key = key.name;
  version.number = key.next_version++;
  version.state = VersionState::kPending;
  version.created = parts_.clock.Now();
  parts_.rng.Fill(version.id);
  KEYWARD_TRY(parts_.store.AnnounceVersion(key, version));
  if (const auto known = keys_.find(key.name); known != keys_.end()) {
    known->second.record.next_version = key.next_version;
  }
  return version;
}

void KeyRing::MakeVersion(KeyRecord key, uint32_t caller, const VersionDone& done) {
  CustodianPool* pool = PoolOf(key.custodian);
  if (pool == nullptr || !pool->configured()) {
    return done(Fail(ErrorCode::kNotSupported, "security.yaml configures no such custodian"));
  }
  if (in_progress_.contains(key.name)) return done(ChangeInProgress());
  const Result<VersionRecord> version = Announce(key);
  if (!version) return done(Fail(version.error()));
  in_progress_[key.name] = false;
  auto finish = [this, key, version = *version, done](Result<GeneratedKey> generated) {
    parts_.post([this, key, version, done, generated = std::move(generated)] {
      const bool revoked = in_progress_.extract(key.name).mapped();
      done(Activate(key, version, revoked ? RevokedMeanwhile() : generated));
    });
  };
  const Result<void> queued =
      pool->Submit(caller, [this, key, id = version->id, finish](Result<Custodian*> custodian) {
        Result<GeneratedKey> generated = custodian ? GenerateOn(**custodian, key, id, parts_.rng)
                                                   : Result<GeneratedKey>(Fail(custodian.error()));
        Result<void> outcome = Outcome(generated);
        finish(std::move(generated));
        return outcome;
      });
  if (!queued) finish(Fail(queued.error()));
}

Result<std::shared_ptr<KeyVersion>> KeyRing::Activate(const KeyRecord& key, VersionRecord version,
                                                      Result<GeneratedKey> generated) {
  CustodianPool* pool = PoolOf(key.custodian);
  if (!generated) {
    // A custodian that failed removed what it made, unless it went away; one whose work came too
    // late has it still. The sweep asks it before the announcement is forgotten.
    NoteRemains(version, key.custodian);
    SweepPending(*pool);
    return Fail(generated.error());
  }
  version.state = VersionState::kActive;
  version.spki = generated->public_key.spki();
  version.reference = generated->reference;
  if (Result<void> stored = parts_.store.ActivateVersion(version); !stored) {
    NoteRemains(version, key.custodian);
    SweepPending(*pool);
    return Fail(stored.error());
  }
  Key& entry = keys_.try_emplace(key.name, Key(key)).first->second;
  entry.Add(std::make_shared<KeyVersion>(key, version, generated->public_key, *pool));
  return entry.versions.back();
}

Result<Revocation> KeyRing::Revoke(const std::string& name, uint32_t version) {
  const Key* key = Find(name);
  if (key == nullptr) return Fail(ErrorCode::kNotFound, "there is no such key");
  std::vector<KeyId> ids;
  for (const std::shared_ptr<KeyVersion>& each : key->versions) {
    if (version == 0 || each->number() == version) ids.push_back(each->id());
  }
  if (ids.empty()) return Fail(ErrorCode::kNotFound, "the key has no such version");
  // Nothing is signed any more even if the disk is full.
  if (const auto change = in_progress_.find(name); change != in_progress_.end() && version == 0) {
    change->second = true;
  }
  for (const std::shared_ptr<KeyVersion>& each : key->versions) {
    if (version == 0 || each->number() == version) each->Revoke();
  }
  Result<void> recorded = parts_.store.RevokeVersions(ids);
  return Revocation{std::move(ids), std::move(recorded)};
}

void KeyRing::Destroy(const std::string& name, uint32_t caller,
                      const std::function<void(Result<void>)>& done) {
  const Result<Revocation> revoked = Revoke(name, 0);
  if (!revoked) return done(Fail(revoked.error()));
  if (!revoked->recorded) return done(revoked->recorded);
  if (in_progress_.contains(name)) return done(ChangeInProgress());
  const Key& key = *Find(name);
  std::vector<KeyReference> references;
  std::vector<KeyId> unrecorded;
  if (key.record.custody == Custody::kHardware) {
    for (const auto& version : key.versions) references.push_back(version->reference());
    for (const auto& [id, remains] : remains_) {
      if (remains.key == name) unrecorded.push_back(id);
    }
  }
  in_progress_[name] = false;
  auto finish = [this, name, done](Result<void> destroyed) {
    parts_.post([this, name, done, destroyed] {
      in_progress_.erase(name);
      done(destroyed ? Forget(name) : destroyed);
    });
  };
  const Result<void> queued =
      PoolOf(key.record.custodian)
          ->Submit(caller, [references, unrecorded, finish](Result<Custodian*> custodian) {
            Result<void> destroyed = DestroyOn(custodian, references, unrecorded);
            finish(destroyed);
            return destroyed;
          });
  if (!queued) finish(Fail(queued.error()));
}

Result<void> KeyRing::Forget(const std::string& name) {
  KEYWARD_TRY(parts_.store.DeleteKey(name));
  keys_.erase(name);
  std::erase_if(remains_, [&](const auto& each) { return each.second.key == name; });
  return {};
}

bool KeyRing::HasRemains(std::string_view key) const {
  return std::ranges::any_of(remains_, [&](const auto& each) { return each.second.key == key; });
}

void KeyRing::NoteRemains(const VersionRecord& version, const std::string& custodian) {
  remains_.insert_or_assign(version.id, Remains{.key = version.key, .custodian = custodian});
}

void KeyRing::SweepPending(CustodianPool& pool) {
  std::vector<KeyId> ids;
  for (auto& [id, remains] : remains_) {
    if (remains.custodian != pool.name() || remains.being_swept) continue;
    remains.being_swept = true;
    ids.push_back(id);
  }
  if (ids.empty()) return;
  auto finish = [this, ids](Result<void> swept) {
    parts_.post([this, ids, swept] { EndSweep(ids, swept); });
  };
  const Result<void> queued =
      pool.Submit(0, [ids, finish](Result<Custodian*> custodian) -> Result<void> {
        Result<void> swept = custodian ? (*custodian)->signer().DestroyUnrecorded(ids)
                                       : Result<void>(Fail(custodian.error()));
        finish(swept);
        return swept;
      });
  if (!queued) finish(Fail(queued.error()));
}

void KeyRing::EndSweep(const std::vector<KeyId>& ids, const Result<void>& swept) {
  for (const KeyId& id : ids) {
    const auto remains = remains_.find(id);
    if (remains == remains_.end()) continue;  // its key was destroyed meanwhile
    if (swept && parts_.store.ForgetPending(id)) {
      remains_.erase(remains);
    } else {
      remains->second.being_swept = false;  // until the next time that the custodian serves
    }
  }
}

}  // namespace keyward
