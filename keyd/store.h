// What keyd remembers between runs: keys and their versions, modules, peers. SQLite, one file.
// docs/STORE_FORMAT.md has its tables, its MAC and its epoch.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/key_id.h"
#include "core/result.h"
#include "core/rng.h"
#include "core/secret_bytes.h"
#include "keyd/store_mac.h"
#include "keyd/store_records.h"
#include "keyd/store_reserve.h"
#include "keyd/store_writer.h"

struct sqlite3;

namespace keyward {

// Subkeys of the master key.
struct StoreKeys {
  SecretBytes mac;
  SecretBytes wrapping;
  Bytes bound_to;  // what else the MAC covers: which master key and counter the store belongs to
};

// Each commit is one transaction on disk (WAL, synchronous=FULL) before it returns, and carries a
// MAC over the whole store and its epoch. The epoch tells an old copy from the latest one: keyd
// compares it with a counter in hardware (journal.h). One thread at a time. Errors of every
// function: kIo (disk full, not writable), kDataCorrupt.
class Store {
 public:
  using Change = std::function<Result<void>(StoreWriter&)>;
  // What a commit does to the epoch. A lifecycle event advances it; what may be lost without harm
  // (the announcement of a version) does not, because hardware counters wear.
  enum class Epoch : uint8_t { kStays, kAdvances };

  // Makes `path`, mode 0600, holding `state`, in the epoch `epoch`. Errors also: kAlreadyExists.
  static Result<std::unique_ptr<Store>> Create(const std::string& path, StoreKeys keys, Rng& rng,
                                               uint64_t epoch, const StoredState& state);
  // Opens `path`, checks that it is whole and untouched, and brings it to the schema of today.
  // Errors also: kNotInitialised (there is none, or it has no MAC yet), kConfiguration (a file of a
  // newer Keyward).
  static Result<std::unique_ptr<Store>> Open(const std::string& path, StoreKeys keys, Rng& rng);
  // What is in a store of schema version 1, which had no MAC: for the admin who vouches for it.
  // Errors also: kNotFound (none, or it is of another version).
  static Result<StoredState> ReadUnauthenticated(const std::string& path);
  // Which keys the store at `path` says each custodian holds, made to their end or not: for
  // destroying them when no master key is there to check the store with. None when there is no
  // store.
  static Result<std::map<std::string, std::vector<KeyId>>> ReadHardwareIds(const std::string& path);

  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  Result<StoredState> Load();
  Result<void> Commit(const Change& change, Epoch epoch);
  // The same for what must not wait for room on a full disk: gives up the space that was set aside.
  // `change` may be made several times.
  Result<void> CommitFromReserve(const Change& change, Epoch epoch);
  // Sets space aside, or what is missing of it. To be called now and then.
  void TendReserve() { reserve_.Fill(); }
  // Of the last commit.
  uint64_t epoch() const { return epoch_; }

 private:
  Store(sqlite3* database, StoreKeys keys, Rng& rng, const std::string& path);

  Result<void> Verify();
  // That nobody else has changed anything since the last commit. Within a transaction.
  Result<void> CheckUntouched();
  // Brings what Verify has found whole to the schema of today, in the same epoch.
  Result<void> MigrateVerified();
  Result<StoreMac> WriteIntegrity(uint64_t epoch);
  // Frees a piece of the reserve; false when there is none.
  bool GiveUpReserve();

  sqlite3* database_;
  StoreKeys keys_;
  Rng& rng_;
  uint64_t epoch_ = 0;
  StoreMac mac_{};  // of the last commit
  StoreReserve reserve_;
};

}  // namespace keyward
