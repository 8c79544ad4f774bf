// Of KeyRing: how a version comes to be, and to sign.
#include <utility>

#include "keyd/ask.h"
#include "keyd/audit_events.h"
#include "keyd/derived_key.h"
#include "keyd/key_ring.h"
#include "keyd/key_ring_errors.h"
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

}  // namespace

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

}  // namespace keyward
