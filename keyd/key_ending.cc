// Of KeyRing: how a version ends, by an admin or by itself.
#include <algorithm>
#include <utility>

#include "keyd/ask.h"
#include "keyd/audit_events.h"
#include "keyd/key_ring.h"
#include "keyd/key_ring_errors.h"
#include "keyd/log.h"

namespace keyward {
namespace {

using audit::EventKind;

// What the custodian's thread does to end a key: `references` are its versions, `unrecorded` what
// failed ones left.
Result<void> DestroyOn(Signer& signer, const std::vector<KeyReference>& references,
                       const std::vector<KeyId>& unrecorded) {
  for (const KeyReference& reference : references) KEYWARD_TRY(signer.DestroyKey(reference));
  if (unrecorded.empty()) return {};
  return signer.DestroyUnrecorded(unrecorded);
}

std::unexpected<Error> NotRetiring() {
  return Fail(ErrorCode::kWrongState,
              "only a version that is retiring can be retired; rotate the key first");
}

}  // namespace

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

}  // namespace keyward
