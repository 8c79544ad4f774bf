#include "keyd/store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/unique_fd.h"
#include "keyd/store_statement.h"

namespace keyward {
namespace {

constexpr int kSchemaVersion = 1;

constexpr const char* kSettings = R"(
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA secure_delete = ON;
  PRAGMA foreign_keys = ON;
  PRAGMA trusted_schema = OFF;
)";

constexpr const char* kSchema = R"(
  BEGIN IMMEDIATE;
  CREATE TABLE key (
    name TEXT PRIMARY KEY, algorithm TEXT NOT NULL, custody TEXT NOT NULL,
    custodian TEXT NOT NULL, next_version INTEGER NOT NULL) STRICT;
  CREATE TABLE version (
    id BLOB PRIMARY KEY, key TEXT NOT NULL REFERENCES key(name) ON DELETE CASCADE,
    number INTEGER NOT NULL, state INTEGER NOT NULL, spki BLOB NOT NULL,
    reference BLOB NOT NULL, created INTEGER NOT NULL, UNIQUE (key, number)) STRICT;
  CREATE TABLE module (name TEXT PRIMARY KEY, key TEXT NOT NULL) STRICT;
  CREATE TABLE peer (name TEXT PRIMARY KEY, spki BLOB NOT NULL) STRICT;
  PRAGMA user_version = 1;
  COMMIT;
)";

Result<void> Execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return Fail(StoreError(database, "setting up"));
  }
  return {};
}

Result<void> Prepare(sqlite3* database) {
  KEYWARD_TRY(Execute(database, kSettings));
  Statement statement(database, "PRAGMA user_version");
  KEYWARD_TRY(statement.Step());
  const int64_t version = statement.Integer(0);
  if (version == kSchemaVersion) return {};
  if (version != 0) {
    return Fail(ErrorCode::kConfiguration,
                "the stored state was written by a newer Keyward: run that version");
  }
  return Execute(database, kSchema);
}

std::unexpected<Error> Corrupt(const char* what) {
  return Fail(Error(ErrorCode::kDataCorrupt, kStoreDamaged).WithCause(what));
}

// SQLite holds references while it writes, and believes what it reads.
Result<void> CheckReferences(sqlite3* database) {
  Statement rows(database, "PRAGMA foreign_key_check");
  KEYWARD_ASSIGN(const bool row, rows.Step());
  if (row) return Corrupt("a version of no key");
  return {};
}

Result<std::vector<KeyRecord>> LoadKeys(sqlite3* database) {
  std::vector<KeyRecord> keys;
  Statement rows(database,
                 "SELECT name, algorithm, custody, custodian, next_version FROM key ORDER BY name");
  while (true) {
    KEYWARD_ASSIGN(const bool row, rows.Step());
    if (!row) return keys;
    const std::optional<Algorithm> algorithm = AlgorithmFromName(rows.Text(1));
    const std::optional<Custody> custody = CustodyFromName(rows.Text(2));
    if (!algorithm || !custody) return Corrupt("unknown algorithm or custody");
    keys.push_back(
        {rows.Text(0), *algorithm, *custody, rows.Text(3), static_cast<uint32_t>(rows.Integer(4))});
  }
}

Result<std::vector<VersionRecord>> LoadVersions(sqlite3* database) {
  std::vector<VersionRecord> versions;
  Statement rows(database,
                 "SELECT key, number, id, state, spki, reference, created FROM version "
                 "ORDER BY key, number");
  while (true) {
    KEYWARD_ASSIGN(const bool row, rows.Step());
    if (!row) return versions;
    const Bytes id = rows.Blob(2);
    const std::optional<VersionState> state =
        VersionStateFromNumber(static_cast<int>(rows.Integer(3)));
    VersionRecord version{};
    if (id.size() != version.id.size() || !state) return Corrupt("key id or state");
    std::ranges::copy(id, version.id.begin());
    version.key = rows.Text(0);
    version.number = static_cast<uint32_t>(rows.Integer(1));
    version.state = *state;
    version.spki = rows.Blob(4);
    version.reference = rows.Blob(5);
    version.created = WallTime(std::chrono::milliseconds(rows.Integer(6)));
    versions.push_back(std::move(version));
  }
}

}  // namespace

Result<std::unique_ptr<Store>> Store::Open(const std::string& path) {
  // SQLite would make the file with the umask's mode; its side files take over this one's.
  const UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file || fchmod(file.get(), 0600) != 0) {
    return Fail(
        Error(ErrorCode::kIo, "state.db cannot be opened: give it to keyd's user, mode 0600")
            .WithAction(Action::kAskAdmin)
            .WithCause(path + ": " + std::strerror(errno)));
  }
  sqlite3* database = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &database,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, nullptr);
  std::unique_ptr<Store> store(new Store(database));
  if (opened != SQLITE_OK) return Fail(StoreError(database, path.c_str()));
  KEYWARD_TRY(Prepare(database));
  return store;
}

Store::~Store() { sqlite3_close(database_); }

Result<StoredState> Store::Load() {
  KEYWARD_TRY(CheckReferences(database_));
  StoredState state;
  KEYWARD_ASSIGN(state.keys, LoadKeys(database_));
  KEYWARD_ASSIGN(state.versions, LoadVersions(database_));
  Statement modules(database_, "SELECT name, key FROM module ORDER BY name");
  while (true) {
    KEYWARD_ASSIGN(const bool row, modules.Step());
    if (!row) break;
    state.modules.push_back({modules.Text(0), modules.Text(1)});
  }
  Statement peers(database_, "SELECT name, spki FROM peer ORDER BY name");
  while (true) {
    KEYWARD_ASSIGN(const bool row, peers.Step());
    if (!row) return state;
    state.peers.push_back({peers.Text(0), peers.Blob(1)});
  }
}

Result<void> Store::AnnounceVersion(const KeyRecord& key, const VersionRecord& version) {
  KEYWARD_ASSIGN(Transaction transaction, Transaction::Begin(database_));
  KEYWARD_TRY(Statement(database_,
                        "INSERT INTO key VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
                        "SET next_version = excluded.next_version")
                  .Bind(key.name)
                  .Bind(std::string(Name(key.algorithm)))
                  .Bind(std::string(Name(key.custody)))
                  .Bind(key.custodian)
                  .Bind(int64_t{key.next_version})
                  .Run());
  KEYWARD_TRY(Statement(database_, "INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, ?)")
                  .Bind(ByteView(version.id))
                  .Bind(version.key)
                  .Bind(int64_t{version.number})
                  .Bind(static_cast<int64_t>(VersionState::kPending))
                  .Bind(ByteView())
                  .Bind(ByteView())
                  .Bind(int64_t{version.created.time_since_epoch().count()})
                  .Run());
  return transaction.Commit();
}

Result<void> Store::ActivateVersion(const VersionRecord& version) {
  KEYWARD_ASSIGN(Transaction transaction, Transaction::Begin(database_));
  KEYWARD_TRY(Statement(database_, "UPDATE version SET state = ? WHERE key = ? AND state = ?")
                  .Bind(static_cast<int64_t>(VersionState::kRetiring))
                  .Bind(version.key)
                  .Bind(static_cast<int64_t>(VersionState::kActive))
                  .Run());
  KEYWARD_TRY(
      Statement(database_, "UPDATE version SET state = ?, spki = ?, reference = ? WHERE id = ?")
          .Bind(static_cast<int64_t>(VersionState::kActive))
          .Bind(ByteView(version.spki))
          .Bind(ByteView(version.reference))
          .Bind(ByteView(version.id))
          .Run());
  return transaction.Commit();
}

Result<void> Store::ForgetPending(const KeyId& id) {
  KEYWARD_ASSIGN(Transaction transaction, Transaction::Begin(database_));
  KEYWARD_TRY(Statement(database_, "DELETE FROM version WHERE id = ? AND state = ?")
                  .Bind(ByteView(id))
                  .Bind(static_cast<int64_t>(VersionState::kPending))
                  .Run());
  KEYWARD_TRY(
      Statement(database_, "DELETE FROM key WHERE name NOT IN (SELECT key FROM version)").Run());
  return transaction.Commit();
}

Result<void> Store::RevokeVersions(const std::vector<KeyId>& ids) {
  KEYWARD_ASSIGN(Transaction transaction, Transaction::Begin(database_));
  for (const KeyId& id : ids) {
    KEYWARD_TRY(Statement(database_, "UPDATE version SET state = ? WHERE id = ?")
                    .Bind(static_cast<int64_t>(VersionState::kRevoked))
                    .Bind(ByteView(id))
                    .Run());
  }
  return transaction.Commit();
}

Result<void> Store::DeleteKey(const std::string& name) {
  KEYWARD_ASSIGN(Transaction transaction, Transaction::Begin(database_));
  KEYWARD_TRY(Statement(database_, "DELETE FROM module WHERE key = ?").Bind(name).Run());
  KEYWARD_TRY(Statement(database_, "DELETE FROM key WHERE name = ?").Bind(name).Run());
  return transaction.Commit();
}

Result<void> Store::PutModule(const ModuleRecord& module) {
  return Statement(database_, "INSERT OR REPLACE INTO module VALUES (?, ?)")
      .Bind(module.name)
      .Bind(module.key)
      .Run();
}

Result<void> Store::DeleteModule(const std::string& name) {
  return Statement(database_, "DELETE FROM module WHERE name = ?").Bind(name).Run();
}

Result<void> Store::PutPeer(const PeerRecord& peer) {
  return Statement(database_, "INSERT OR REPLACE INTO peer VALUES (?, ?)")
      .Bind(peer.name)
      .Bind(ByteView(peer.spki))
      .Run();
}

Result<void> Store::DeletePeer(const std::string& name) {
  return Statement(database_, "DELETE FROM peer WHERE name = ?").Bind(name).Run();
}

}  // namespace keyward
