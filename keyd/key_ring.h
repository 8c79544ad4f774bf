// All keys that keyd knows, and the only way to make, replace and end them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/rng.h"
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

struct Revocation {
  std::vector<KeyId> versions;  // which nothing signs with any more
  Result<void> recorded;        // an error of the store's: then it lasts until keyd ends
};

// Belongs to the bus thread. What takes the hardware's time ends in a call of `done` on that
// thread, through `post`. Every change but a revocation is on disk before it is visible.
class KeyRing {
 public:
  using Post = std::function<void(std::function<void()>)>;
  using VersionDone = std::function<void(Result<std::shared_ptr<KeyVersion>>)>;

  struct Parts {
    Store& store;
    KeyRingPools& pools;
    const Clock& clock;
    Rng& rng;
    Post post;
  };
  // Takes the keys of `state`. For a custodian that has some and is not configured it adds a pool
  // that takes no task: such keys are seen, revoked, and used for nothing. Errors: kDataCorrupt.
  static Result<std::unique_ptr<KeyRing>> Create(Parts parts, const StoredState& state);

  // Null when there is no such key.
  const Key* Find(std::string_view name) const;
  const std::map<std::string, Key, std::less<>>& keys() const { return keys_; }

  // Errors: kAlreadyExists, kNotSupported, kBusy (also while the custodian has
  // not removed what a failed generation of that name left), the custodian's and the store's.
  void Generate(const KeyRecord& key, uint32_t caller, const VersionDone& done);
  // A new active version beside the old, which retires. Errors: kNotFound, kRevoked (the whole key
  // was, before its new version was made; that one is removed), and as above.
  void Rotate(const std::string& name, uint32_t caller, const VersionDone& done);
  // version 0: all, and the one that a rotation is making will not become active. Needs no
  // hardware. Errors: kNotFound.
  Result<Revocation> Revoke(const std::string& name, uint32_t version);
  // Revokes, then removes the key, and what failed rotations left of it, from its custodian and
  // from the store. When the custodian fails, or another change is in progress (kBusy), the key
  // stays revoked, and Destroy can be asked again.
  void Destroy(const std::string& name, uint32_t caller,
               const std::function<void(Result<void>)>& done);

  // Has the custodian remove what a crash left of announced versions. For when `pool` serves.
  void SweepPending(CustodianPool& pool);

 private:
  explicit KeyRing(Parts parts) : parts_(std::move(parts)) {}

  Result<void> Adopt(const StoredState& state);
  // Writes a pending version down, and counts `key.next_version` on.
  Result<VersionRecord> Announce(KeyRecord& key);
  void MakeVersion(KeyRecord key, uint32_t caller, const VersionDone& done);
  Result<std::shared_ptr<KeyVersion>> Activate(const KeyRecord& key, VersionRecord version,
                                               Result<GeneratedKey> generated);
  // A key that the custodian has destroyed. Errors: the store's.
  Result<void> Forget(const std::string& name);
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
