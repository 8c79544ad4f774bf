// All keys that keyd knows, and the only way to make, replace and end them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/rng.h"
#include "keyd/journal.h"
#include "keyd/key_version.h"

namespace keyward {

struct Key {
  explicit Key(KeyRecord r) : record(std::move(r)) {}

  KeyRecord record;
  std::vector<std::shared_ptr<KeyVersion>> versions;  // ascending; never empty
  std::shared_ptr<ActiveVersion> active = std::make_shared<ActiveVersion>();

  void Add(std::shared_ptr<KeyVersion> version);
};

using KeyRingPools = std::map<std::string, std::unique_ptr<CustodianPool>, std::less<>>;

// Belongs to the bus thread. What takes the hardware's time ends in a call of `done` on that
// thread, through `post`. Every change but a revocation is on disk, and confirmed by the hardware's
// counter, before it is visible. A change that is on disk and that the hardware does not confirm
// holds, and is told as a failure all the same.
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
  };
  // Takes the keys of `state`. For a custodian that has some and is not configured it adds a pool
  // that takes no task: such keys are seen, revoked, and used for nothing. Errors: kDataCorrupt.
  static Result<std::shared_ptr<KeyRing>> Create(Parts parts, const StoredState& state);

  // Null when there is no such key.
  const Key* Find(std::string_view name) const;
  const std::map<std::string, Key, std::less<>>& keys() const { return keys_; }

  // Errors: kAlreadyExists, kNotSupported, kBusy (also while the custodian has
  // not removed what a failed generation of that name left), the custodian's and the store's.
  void Generate(const KeyRecord& key, uint32_t caller, const VersionDone& done);
  // A new active version beside the old, which retires. Errors: kNotFound, kRevoked (the whole key
  // was, before its new version was made; that one is removed), and as above.
  void Rotate(const std::string& name, uint32_t caller, const VersionDone& done);
  // version 0: all, and the one that a rotation is making will not become active. Gives the
  // versions that nothing signs with any more from here on; `recorded` is told when that is on disk
  // and confirmed, with an error when it lasts until keyd ends or could be rolled back. Errors:
  // kNotFound; then `recorded` is not called.
  Result<std::vector<KeyId>> Revoke(const std::string& name, uint32_t version,
                                    const Done& recorded);
  // Revokes, then removes the key, and what failed rotations left of it, from its custodian and
  // from the store. When the custodian fails, or another change is in progress (kBusy), the key
  // stays revoked, and Destroy can be asked again.
  void Destroy(const std::string& name, uint32_t caller, const Done& done);
  // What names the keys of custody hardware, by custodian.
  std::map<std::string, std::vector<KeyReference>> HardwareReferences() const;
  // The service is being sealed: no version of this ring signs any more, and nothing of it stays
  // unsealed, whoever else holds it.
  void Seal();

  // Has the custodian remove what a crash left of announced versions. For when `pool` serves.
  void SweepPending(CustodianPool& pool);

 private:
  explicit KeyRing(Parts parts) : parts_(std::move(parts)) {}

  Result<void> Adopt(const StoredState& state);
  // Writes a pending version down, and counts `key.next_version` on.
  Result<VersionRecord> Announce(KeyRecord& key);
  void MakeVersion(KeyRecord key, uint32_t caller, const VersionDone& done);
  // Each takes the change one step on, and ends in `done`.
  void OnGenerated(const KeyRecord& key, VersionRecord version, const Result<GeneratedKey>& made,
                   const VersionDone& done);
  void OnActivated(const KeyRecord& key, const VersionRecord& version, const PublicKey& public_key,
                   const Journal::Outcome& outcome, const VersionDone& done);
  void GiveUp(const KeyRecord& key, const VersionRecord& version);
  void DestroyRevoked(const std::string& name, uint32_t caller, const Done& done);
  // A key that the custodian has destroyed.
  void Forget(const std::string& name, const Done& done);
  CustodianPool* PoolOf(std::string_view custodian) const;
  CustodianPool& ConfiguredOrNot(const std::string& custodian);
  bool HasRemains(std::string_view key) const;
  void NoteRemains(const VersionRecord& version, const std::string& custodian);
  void EndSweep(const std::vector<KeyId>& ids, const Result<void>& swept);

  // An announced version that came to nothing, until its custodian has removed what there is of it.
  struct Remains {
    std::string key;
    std::string custodian;
    bool being_swept = false;
  };

  Parts parts_;
  std::map<std::string, Key, std::less<>> keys_;
  // Names whose next version is being made, or that go; true once revoked meanwhile.
  std::map<std::string, bool, std::less<>> in_progress_;
  std::map<KeyId, Remains> remains_;
};

}  // namespace keyward
