// What keyd remembers between runs: keys and their versions, modules, peers. SQLite, one file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/algorithm.h"
#include "core/clock.h"
#include "core/public_key.h"
#include "core/result.h"
#include "core/signer.h"
#include "keyd/version_state.h"

struct sqlite3;

namespace keyward {

struct KeyRecord {
  std::string name;
  Algorithm algorithm;
  Custody custody;
  std::string custodian;  // "hsm", "tpm"
  uint32_t next_version;  // the number that the next version gets
};

struct VersionRecord {
  std::string key;
  uint32_t number;  // from 1, never used again
  KeyId id;
  VersionState state;
  Bytes spki;       // empty while pending
  Bytes reference;  // custody hardware: the KeyReference; sealed: the Sealer's blob
  WallTime created;
};

struct ModuleRecord {
  std::string name;
  std::string key;
};

struct PeerRecord {
  std::string name;
  Bytes spki;
};

struct StoredState {
  std::vector<KeyRecord> keys;
  std::vector<VersionRecord> versions;
  std::vector<ModuleRecord> modules;
  std::vector<PeerRecord> peers;
};

// Every change is one transaction on disk (WAL, synchronous=FULL) before its call returns. One
// thread at a time. Errors of every function: kIo (disk full, not writable), kDataCorrupt.
class Store {
 public:
  // Opens or makes `path`, mode 0600. Errors also: kConfiguration (a file of a newer Keyward).
  static Result<std::unique_ptr<Store>> Open(const std::string& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  Result<StoredState> Load();

  // A new key's first version or a known key's next one, both pending.
  Result<void> AnnounceVersion(const KeyRecord& key, const VersionRecord& version);
  // pending -> active with what the custodian gave; the version that was active retires.
  Result<void> ActivateVersion(const VersionRecord& version);
  // Removes a version that is still pending, and its key if it has no other.
  Result<void> ForgetPending(const KeyId& id);
  // All of them or none.
  Result<void> RevokeVersions(const std::vector<KeyId>& ids);
  // With its versions, and the enrolments of the modules whose identity it was: a key that is made
  // later under the same name must not become anybody's identity by itself.
  Result<void> DeleteKey(const std::string& name);

  Result<void> PutModule(const ModuleRecord& module);
  Result<void> DeleteModule(const std::string& name);
  Result<void> PutPeer(const PeerRecord& peer);
  Result<void> DeletePeer(const std::string& name);

 private:
  explicit Store(sqlite3* database) : database_(database) {}

  sqlite3* database_;
};

}  // namespace keyward
