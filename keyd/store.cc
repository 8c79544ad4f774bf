#include "keyd/store.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/unique_fd.h"
#include "keyd/log.h"
#include "keyd/reference_wrapping.h"
#include "keyd/store_mac.h"
#include "keyd/store_rows.h"
#include "keyd/store_statement.h"

namespace keyward {
namespace {

constexpr int64_t kUnauthenticatedSchema = 1;
constexpr const char* kReserveFile = "reserve";  // beside the store

// Somebody else who reads or writes the store, such as an admin's sqlite3, holds keyd up for no
// longer.
constexpr int kPatienceMs = 250;

constexpr const char* kSettings = R"(
  PRAGMA synchronous = FULL;
  PRAGMA secure_delete = ON;
  PRAGMA foreign_keys = ON;
  PRAGMA trusted_schema = OFF;
  PRAGMA cell_size_check = ON;
)";

// Every store begins as the first one did and takes all steps since, so that it makes no difference
// which Keyward made it.
constexpr std::array kSteps = {
    R"(
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
)",
    R"(
  CREATE TABLE integrity (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, mac BLOB NOT NULL) STRICT;
  PRAGMA user_version = 2;
)",
    // What retires already gets a day.
    R"(
  ALTER TABLE version ADD COLUMN activated INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE version ADD COLUMN retire_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE version ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
  UPDATE version SET activated = created WHERE state <> 1;
  UPDATE version SET retire_at = (CAST(strftime('%s', 'now') AS INTEGER) + 86400) * 1000
    WHERE state = 3;
  PRAGMA user_version = 3;
)",
    R"(
  CREATE TABLE audit_head (
    one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
  PRAGMA user_version = 4;
)",
    R"(
  ALTER TABLE version ADD COLUMN revoked INTEGER NOT NULL DEFAULT 0;
  UPDATE version SET revoked = CAST(strftime('%s', 'now') AS INTEGER) * 1000 WHERE state = 4;
  CREATE TABLE revocation (
    fingerprint BLOB NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL,
    issuer BLOB NOT NULL, PRIMARY KEY (fingerprint, issuer)) STRICT;
  PRAGMA user_version = 5;
)",
    R"(
  ALTER TABLE audit_head ADD COLUMN tail INTEGER NOT NULL DEFAULT 0;
  PRAGMA user_version = 6;
)",
    R"(
  CREATE TABLE lifecycle (
    one INTEGER PRIMARY KEY CHECK (one = 1), time INTEGER NOT NULL) STRICT;
  PRAGMA user_version = 7;
)"};
constexpr auto kSchemaVersion = static_cast<int64_t>(kSteps.size());

struct CloseDatabase {
  void operator()(sqlite3* database) const {
    // Statements end before their store, so that it is never busy.
    static_cast<void>(sqlite3_close(database));
  }
};
using DatabasePtr = std::unique_ptr<sqlite3, CloseDatabase>;

std::unexpected<Error> CannotOpen(const std::string& path) {
  return Fail(Error(ErrorCode::kIo, "state.db cannot be opened: give it to keyd's user, mode 0600")
                  .WithAction(Action::kAskAdmin)
                  .WithCause(path + ": " + std::strerror(errno)));
}

Error NotThere() {
  return {ErrorCode::kNotInitialised,
          "there is no state.db for the master key: put back the one that belongs to it, or "
          "restore a backup"};
}

Error Tampered() {
  return Error(ErrorCode::kDataCorrupt,
               "state.db was changed by somebody else than keyd, or belongs to another master key: "
               "put back the right one, or restore a backup")
      .WithAction(Action::kProvision);
}

Result<void> Execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return Fail(StoreError(database, "setting up"));
  }
  return {};
}

// SQLite goes on with another journal where it cannot have this one.
Result<void> UseWriteAheadLog(sqlite3* database) {
  Statement mode(database, "PRAGMA journal_mode = WAL");
  KEYWARD_TRY(mode.Step());
  if (mode.Text(0) == "wal") return {};
  return Fail(
      Error(ErrorCode::kIo,
            "state.db can have no write-ahead log where it is: put the state directory on a "
            "local disk")
          .WithAction(Action::kAskAdmin)
          .WithCause("journal_mode is " + mode.Text(0)));
}

// A pipe in the place of one would hold SQLite up for ever.
Result<void> CheckSideFiles(const std::string& path) {
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    struct stat info{};
    if (lstat((path + suffix).c_str(), &info) != 0 || S_ISREG(info.st_mode)) continue;
    return Fail(
        Error(ErrorCode::kDataCorrupt, "something that is no file lies beside state.db: remove it")
            .WithCause(path + suffix));
  }
  return {};
}

// SQLite would make the file with the umask's mode; its side files take over this one's.
Result<DatabasePtr> OpenDatabase(const std::string& path, int how) {
  KEYWARD_TRY(CheckSideFiles(path));
  UniqueFd file(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | how, 0600));
  if (!file && errno == ENOENT) return Fail(NotThere());
  if (!file && errno == EEXIST) return Fail(ErrorCode::kAlreadyExists, "state.db exists already");
  if (!file || fchmod(file.get(), 0600) != 0) return CannotOpen(path);
  // Before SQLite opens it: closing any descriptor of a file drops the process's locks on it.
  file.Reset();
  sqlite3* raw = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, nullptr);
  DatabasePtr database(raw);
  if (opened != SQLITE_OK) return Fail(StoreError(raw, path.c_str()));
  static_cast<void>(sqlite3_busy_timeout(raw, kPatienceMs));
  KEYWARD_TRY(UseWriteAheadLog(raw));
  KEYWARD_TRY(Execute(raw, kSettings));
  return database;
}

Result<int64_t> SchemaVersionOf(sqlite3* database) {
  Statement statement(database, "PRAGMA user_version");
  KEYWARD_TRY(statement.Step());
  return statement.Integer(0);
}

Result<void> CheckSchemaVersion(sqlite3* database) {
  KEYWARD_ASSIGN(const int64_t version, SchemaVersionOf(database));
  if (version > kUnauthenticatedSchema && version <= kSchemaVersion) return {};
  if (version == kUnauthenticatedSchema) {
    return Fail(ErrorCode::kNotInitialised,
                "state.db is of an earlier Keyward, without a master key, and there is one: put "
                "back the right state.db, or restore a backup");
  }
  if (version > kSchemaVersion) {
    return Fail(ErrorCode::kConfiguration,
                "the stored state was written by a newer Keyward, or is damaged: run that version, "
                "or restore a backup");
  }
  return Fail(Error(ErrorCode::kDataCorrupt, kStoreDamaged).WithCause("user_version"));
}

// Within a transaction: brings the tables to the schema of today, from whichever they are of.
Result<void> Migrate(sqlite3* database) {
  KEYWARD_ASSIGN(const int64_t version, SchemaVersionOf(database));
  for (auto step = static_cast<size_t>(version); step < kSteps.size(); ++step) {
    KEYWARD_TRY(Execute(database, kSteps.at(step)));
  }
  return {};
}

// A page that does not hold together may hide behind an index that still does.
Result<void> CheckPages(sqlite3* database) {
  Statement check(database, "PRAGMA integrity_check(1)");
  KEYWARD_TRY(check.Step());
  if (check.Text(0) == "ok") return {};
  return Fail(Error(ErrorCode::kDataCorrupt, kStoreDamaged).WithCause(check.Text(0)));
}

}  // namespace

Result<std::unique_ptr<Store>> Store::Create(const std::string& path, StoreKeys keys, Rng& rng,
                                             uint64_t epoch, const StoredState& state) {
  KEYWARD_ASSIGN(DatabasePtr database, OpenDatabase(path, O_CREAT | O_EXCL));
  std::unique_ptr<Store> store(new Store(database.release(), std::move(keys), rng, path));
  KEYWARD_ASSIGN(Transaction transaction, Transaction::Begin(store->database_));
  KEYWARD_TRY(Migrate(store->database_));
  StoreWriter writer(store->database_, store->keys_.wrapping, rng);
  KEYWARD_TRY(writer.PutState(state));
  KEYWARD_ASSIGN(store->mac_, store->WriteIntegrity(epoch));
  KEYWARD_TRY(transaction.Commit());
  store->epoch_ = epoch;
  return store;
}

Result<std::unique_ptr<Store>> Store::Open(const std::string& path, StoreKeys keys, Rng& rng) {
  constexpr int kMustBeThere = 0;
  KEYWARD_ASSIGN(DatabasePtr database, OpenDatabase(path, kMustBeThere));
  KEYWARD_TRY(CheckPages(database.get()));
  KEYWARD_TRY(CheckSchemaVersion(database.get()));
  std::unique_ptr<Store> store(new Store(database.release(), std::move(keys), rng, path));
  KEYWARD_TRY(store->Verify());
  KEYWARD_TRY(store->MigrateVerified());
  return store;
}

Result<StoredState> Store::ReadUnauthenticated(const std::string& path) {
  constexpr int kMustBeThere = 0;
  Result<DatabasePtr> database = OpenDatabase(path, kMustBeThere);
  if (!database) {
    const bool missing = database.error().code() == ErrorCode::kNotInitialised;
    return missing ? Fail(ErrorCode::kNotFound, "there is no state.db") : Fail(database.error());
  }
  KEYWARD_TRY(CheckPages(database->get()));
  KEYWARD_ASSIGN(const int64_t version, SchemaVersionOf(database->get()));
  if (version != kUnauthenticatedSchema) {
    return Fail(ErrorCode::kNotFound, "state.db is not one without a master key");
  }
  // Migrated to be read, and rolled back: the file stays what it was.
  KEYWARD_ASSIGN(const Transaction transaction, Transaction::Begin(database->get()));
  KEYWARD_TRY(Migrate(database->get()));
  return ReadRows(database->get(),
                  [](const VersionRecord& row) -> Result<Bytes> { return row.reference; });
}

Result<std::map<std::string, std::vector<KeyId>>> Store::ReadHardwareIds(const std::string& path) {
  constexpr int kMustBeThere = 0;
  std::map<std::string, std::vector<KeyId>> ids;
  const Result<DatabasePtr> database = OpenDatabase(path, kMustBeThere);
  if (!database && database.error().code() == ErrorCode::kNotInitialised) return ids;
  if (!database) return Fail(database.error());
  Statement rows(database->get(),
                 "SELECT custodian, id FROM version JOIN key ON name = key WHERE custody = ?");
  rows.Bind(std::string(Name(Custody::kHardware)));
  while (true) {
    KEYWARD_ASSIGN(const bool row, rows.Step());
    if (!row) return ids;
    const Bytes stored = rows.Blob(1);
    KeyId id{};
    if (stored.size() != id.size()) continue;
    std::ranges::copy(stored, id.begin());
    ids[rows.Text(0)].push_back(id);
  }
}

Store::Store(sqlite3* database, StoreKeys keys, Rng& rng, const std::string& path)
    : database_(database),
      keys_(std::move(keys)),
      rng_(rng),
      reserve_(std::filesystem::path(path).replace_filename(kReserveFile)) {}

Store::~Store() {
  keys_.mac.Wipe();
  keys_.wrapping.Wipe();
  CloseDatabase()(database_);  // which may wait for the disk
}

Result<void> Store::CheckUntouched() {
  KEYWARD_ASSIGN(const StoreMac now, MacOfStore(database_, epoch_, keys_.mac, keys_.bound_to));
  if (sodium_memcmp(now.data(), mac_.data(), mac_.size()) == 0) return {};
  return Fail(Tampered());
}

Result<void> Store::Verify() {
  Statement row(database_, "SELECT epoch, mac FROM integrity");
  KEYWARD_ASSIGN(const bool found, row.Step());
  if (!found) return Fail(Tampered());
  const auto epoch = static_cast<uint64_t>(row.Integer(0));
  const Bytes stored = row.Blob(1);
  KEYWARD_ASSIGN(const StoreMac expected, MacOfStore(database_, epoch, keys_.mac, keys_.bound_to));
  if (stored.size() != expected.size() ||
      sodium_memcmp(stored.data(), expected.data(), expected.size()) != 0) {
    return Fail(Tampered());
  }
  epoch_ = epoch;
  mac_ = expected;
  return {};
}

Result<void> Store::MigrateVerified() {
  KEYWARD_ASSIGN(const int64_t version, SchemaVersionOf(database_));
  if (version == kSchemaVersion) return {};
  KEYWARD_ASSIGN(Transaction transaction, Transaction::Begin(database_));
  KEYWARD_TRY(CheckUntouched());
  KEYWARD_TRY(Migrate(database_));
  KEYWARD_ASSIGN(mac_, WriteIntegrity(epoch_));
  return transaction.Commit();
}

Result<StoreMac> Store::WriteIntegrity(uint64_t epoch) {
  KEYWARD_ASSIGN(const StoreMac mac, MacOfStore(database_, epoch, keys_.mac, keys_.bound_to));
  KEYWARD_TRY(
      Statement(database_, "INSERT OR REPLACE INTO integrity (one, epoch, mac) VALUES (1, ?, ?)")
          .Bind(static_cast<int64_t>(epoch))
          .Bind(ByteView(mac))
          .Run());
  return mac;
}

Result<StoredState> Store::Load() {
  KEYWARD_ASSIGN(const Transaction transaction, Transaction::Begin(database_));
  KEYWARD_TRY(CheckUntouched());
  return ReadRows(database_, [this](const VersionRecord& version) {
    return UnwrapReference(version.reference, version.key, version.id, keys_.wrapping);
  });
}

Result<void> Store::Commit(const Change& change, Epoch epoch) {
  const uint64_t next = epoch == Epoch::kAdvances ? epoch_ + 1 : epoch_;
  KEYWARD_ASSIGN(Transaction transaction, Transaction::Begin(database_));
  KEYWARD_TRY(CheckUntouched());
  StoreWriter writer(database_, keys_.wrapping, rng_);
  KEYWARD_TRY(change(writer));
  KEYWARD_ASSIGN(const StoreMac mac, WriteIntegrity(next));
  KEYWARD_TRY(transaction.Commit());
  epoch_ = next;
  mac_ = mac;
  return {};
}

bool Store::GiveUpReserve() {
  const Result<bool> given_up = reserve_.GiveUp();
  if (!given_up) LogError("giving up disk space that was set aside", given_up.error());
  return given_up && *given_up;
}

Result<void> Store::CommitFromReserve(const Change& change, Epoch epoch) {
  Result<void> done = Commit(change, epoch);
  size_t pieces = 0;
  while (!done && IsDiskFull(done.error()) && GiveUpReserve()) {
    ++pieces;
    done = Commit(change, epoch);
  }
  if (pieces == 0) return done;
  Log(LogLevel::kWarning, "the disk is full: gave up {} KiB that were set aside for revocations",
      pieces * (StoreReserve::kPiece >> 10));
  // The next commit writes over the log from its beginning, and takes no further space; where the
  // disk has no room for that, the log goes on.
  static_cast<void>(
      sqlite3_wal_checkpoint_v2(database_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr));
  TendReserve();
  return done;
}

}  // namespace keyward
