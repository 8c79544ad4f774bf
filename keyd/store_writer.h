// The changes that a transaction of the store may make.
#pragma once

#include <span>

#include "core/rng.h"
#include "core/secret_bytes.h"
#include "keyd/store_records.h"

struct sqlite3;

namespace keyward {

// Lives during one Store::Commit, which makes one: all of its changes are on disk in the end, or
// none. Errors of every function: kIo (disk full, not writable), kDataCorrupt.
class StoreWriter {
 public:
  // A new key's first version or a known key's next one, both pending.
  Result<void> AnnounceVersion(const KeyRecord& key, const VersionRecord& version);
  // What the custodian gave for a version that was announced.
  Result<void> RecordMade(const VersionRecord& version);
  // pending -> active; the version that was active retires until `retire_at`.
  Result<void> ActivateVersion(const VersionRecord& version, WallTime now, WallTime retire_at);
  // retiring -> retired. One that was revoked or destroyed meanwhile stays so.
  Result<void> RetireVersion(const KeyId& id);
  Result<void> PutUses(std::span<const VersionUses> uses);
  // See lifecycle_clock.h.
  Result<void> PutLifecycleTime(WallTime now);
  // Removes a version that is still pending, and its key if it has no other.
  Result<void> ForgetPending(const KeyId& id);
  // One that is destroyed stays so.
  Result<void> RevokeVersion(const KeyId& id, WallTime now);
  // Every version that the key has by now.
  Result<void> RevokeKey(const std::string& name, WallTime now);
  // The custodian has destroyed it: nothing is kept that could name it there.
  Result<void> DestroyVersion(const KeyId& id);
  // The same for every version. Takes along the enrolments of the modules whose identity it was: a
  // key that is made later under the same name must not become anybody's identity by itself.
  Result<void> DestroyKey(const std::string& name);

  Result<void> PutModule(const ModuleRecord& module);
  Result<void> DeleteModule(const std::string& name);
  Result<void> PutPeer(const PeerRecord& peer);
  Result<void> DeletePeer(const std::string& name);
  // One that is there already stays as it is.
  Result<void> PutRevocation(const RevocationRecord& record);
  // A record that the audit log has, and will have to have when it is opened next, and whether it
  // will have to have a tail.
  Result<void> PutAuditHead(const audit::Head& head, bool has_tail);
  // Everything of another store but its audit log's head, into an empty one.
  Result<void> PutState(const StoredState& state);

  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

 private:
  friend class Store;
  StoreWriter(sqlite3* database, const SecretBytes& wrapping_key, Rng& rng)
      : database_(database), wrapping_key_(wrapping_key), rng_(rng) {}

  Result<void> PutKey(const KeyRecord& key);
  Result<void> InsertVersion(const VersionRecord& version);
  Result<Bytes> Wrapped(const VersionRecord& version);

  sqlite3* database_;
  const SecretBytes& wrapping_key_;
  Rng& rng_;
};

}  // namespace keyward
