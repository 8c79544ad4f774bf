// All keys that keyd knows, and the only way to make, replace and end them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/rng.h"
#include "keyd/journal.h"
#include "keyd/key.h"
#include "keyd/lifecycle_clock.h"
#include "keyd/remains.h"
#include "policy/policy.h"

namespace keyward {

using RotationRulesOf = std::function<policy::RotationRules(std::string_view key)>;

struct VersionChange {
  std::string key;
  uint32_t number;
  KeyId id;
  VersionState state;
};

using KeyRingPools = std::map<std::string, std::unique_ptr<CustodianPool>, std::less<>>;

// Belongs to the bus thread. What takes the hardware's time ends in a call of `done` on that
// thread, through `post`. Every change but a revocation is on disk, and confirmed by the hardware's
// counter, before it is visible. A change that is on disk and that the hardware does not confirm
// holds, and is told as a failure all the same. The audit log has what was asked for (`caller`: a
// uid or kDaemonItself) and what became of it.
class KeyRing : public std::enable_shared_from_this<KeyRing> {
 public:
  using Post = std::function<void(std::function<void()>)>;
  using VersionDone = std::function<void(Result<std::shared_ptr<KeyVersion>>)>;
  using Done = std::function<void(Result<void>)>;

  struct Parts {
    Journal& journal;
    KeyRingPools& pools;
    const Clock& clock;
    Rng& rng;
    Post post;
    RotationRulesOf rules;
    std::function<void(const VersionChange&)> changed;  // told after a version changed its state
    std::shared_ptr<const SecretBytes> transport_key;   // Subkey::kTransport
  };
  // Takes the keys of `state`. For a custodian that has some and is not configured it adds a pool
  // that takes no task: such keys are seen, revoked, and used for nothing. Errors: kDataCorrupt.
  static Result<std::shared_ptr<KeyRing>> Create(Parts parts, const StoredState& state);

  // Null when there is no such key.
  const Key* Find(std::string_view name) const;
  // Whether it is a version's that was revoked.
  bool HasRevoked(const PublicKey& key) const;
  const std::map<std::string, Key, std::less<>>& keys() const { return keys_; }

  // The first version of a key, active; of a name whose key was destroyed, a further one. Errors:
  // kAlreadyExists, kNotSupported, kInvalidArgument (a custodian for custody derived), kBusy (also
  // while the custodian has not removed what a failed generation of that name left), the
  // custodian's and the journal's.
  void Generate(const KeyRecord& key, uint32_t caller, const VersionDone& done);
  // A new version that waits beside the active one. Errors: kNotFound, kAlreadyExists (one waits
  // already), kRevoked (the whole key was, before its new version was made; that one is removed),
  // and as above.
  void Prepare(const std::string& name, uint32_t caller, const VersionDone& done);
  // The version that waits becomes the active one; the one before retires, for its grace period.
  // Errors: kNotFound (also: none waits), kBusy, the journal's.
  void Activate(const std::string& name, uint32_t caller, const VersionDone& done);
  // Both in one step; or Activate alone, where a version waits. Errors: those of both.
  void Rotate(const std::string& name, uint32_t caller, const VersionDone& done);
  // Ends a version's grace period now. Errors: kNotFound, kWrongState (it is not retiring), the
  // journal's.
  void Retire(const std::string& name, uint32_t version, uint32_t caller, const Done& done);
  // version 0: all, and the one that a rotation is making will not become active. Gives the
  // versions that nothing signs with any more from here on; `recorded` is told, here or later, when
  // that is on disk and confirmed, with an error when it could be rolled back, or could not be
  // written: that is tried again, and lost when keyd ends before. Errors: kNotFound; then
  // `recorded` is not called.
  Result<std::vector<KeyId>> Revoke(const std::string& name, uint32_t version, uint32_t caller,
                                    const Done& recorded);
  // version 0: all. Revokes, and gives what Revoke does; then has the custodian remove the private
  // half, and what failed rotations left of it. When the custodian fails, or another change is in
  // progress (kBusy), it stays revoked, and Destroy can be asked again. Errors: those of Revoke.
  Result<std::vector<KeyId>> Destroy(const std::string& name, uint32_t version, uint32_t caller,
                                     const Done& done);
  // What names the keys of custody hardware, by custodian.
  std::map<std::string, std::vector<KeyReference>> HardwareReferences() const;
  // The service is being sealed: no version of this ring signs any more, and nothing of it stays
  // unsealed, whoever else holds it.
  void Seal();

  // Has the custodian remove what a crash left of announced versions. For when `pool` serves.
  void SweepPending(CustodianPool& pool) { remains_->Sweep(pool); }
  // Retires the versions whose grace period is over. What the disk does not take is written later;
  // it is retired all the same, then and after every start.
  void EndGracePeriods();
  // Writes down the revocations that could not be written.
  void RecordRevocations();
  WallTime Now() const { return clock_.Now(); }

 private:
  explicit KeyRing(Parts parts)
      : parts_(std::move(parts)),
        remains_(std::make_shared<Remains>(parts_.journal, parts_.post)),
        clock_(parts_.clock) {}

  enum class Then : uint8_t { kWait, kActivate };  // with a version that was made
  // What was asked for, as the audit log tells it.
  struct Request {
    audit::EventKind kind;
    uint32_t caller;
  };

  Result<void> Adopt(const StoredState& state);
  // Null also when it is destroyed.
  const Key* FindLiving(std::string_view name) const;
  // Counts `key.next_version` on.
  VersionRecord NextOf(KeyRecord& key);
  // Writes that version down, pending.
  Result<VersionRecord> Announce(KeyRecord& key);
  // Errors: kNotSupported, kBusy, kIo, kResourceExhausted.
  Result<void> CheckCanMake(const KeyRecord& key) const;
  void MakeVersion(KeyRecord key, Then then, const Request& request, const VersionDone& done);
  void MakeDerived(KeyRecord key, Then then, const Request& request, const VersionDone& done);
  // The error of a request that came to nothing before the journal had it, which tells all others.
  std::unexpected<Error> Refuse(const Request& request, const std::string& name, Error why);
  // Each takes the change one step on, and ends in `done`.
  void OnGenerated(const KeyRecord& key, VersionRecord version, Then then, const Request& request,
                   const Result<GeneratedKey>& made, const VersionDone& done);
  void OnRecorded(const KeyRecord& key, const VersionRecord& version, const PublicKey& public_key,
                  WallTime retire_at, const Journal::Outcome& outcome, const VersionDone& done);
  void OnActivated(const std::string& name, const std::shared_ptr<KeyVersion>& version,
                   WallTime now, WallTime retire_at, const Journal::Outcome& outcome,
                   const VersionDone& done);
  void GiveUp(const KeyRecord& key, const VersionRecord& version);
  void DestroyRevoked(const std::string& name, uint32_t version, uint32_t caller, const Done& done);
  // What the custodian has destroyed.
  void OnDestroyed(const std::string& name, uint32_t version, uint32_t caller, const Done& done);
  void NoteRevoked(const std::vector<KeyId>& ids, WallTime at, bool written);
  void Tell(const KeyVersion& version) const;
  CustodianPool* PoolOf(std::string_view custodian) const;
  CustodianPool& ConfiguredOrNot(const std::string& custodian);
  KeySource SourceOf(const KeyRecord& key);
  WallTime GraceFromNow(std::string_view key) const;

  Parts parts_;
  std::map<std::string, Key, std::less<>> keys_;
  // Names whose next version is being made, or that go; true once revoked meanwhile.
  std::map<std::string, bool, std::less<>> in_progress_;
  std::shared_ptr<Remains> remains_;
  LifecycleClock clock_;
  std::set<KeyId> unrecorded_ends_;  // of grace periods
  bool recording_ends_ = false;
  std::map<KeyId, WallTime> unrecorded_revocations_;
  bool recording_revocations_ = false;
};

}  // namespace keyward
