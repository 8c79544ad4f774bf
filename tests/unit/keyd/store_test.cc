#include "keyd/store.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/encoding.h"
#include "core/file.h"
#include "keyd/store_mac.h"
#include "tests/support/matchers.h"
#include "tests/unit/keyd/test_store.h"
#include "tests/unit/keyd/write_lock.h"

namespace keyward {
namespace {

using testing_support::FailsWith;
using testing_support::TempDir;

constexpr WallTime kNow{std::chrono::milliseconds(5000)};
constexpr WallTime kRetireAt{std::chrono::milliseconds(9000)};
const KeyRecord kKey{"web", Algorithm::kEcdsaP256, Custody::kHardware, "hsm", 2};

VersionRecord Version(uint32_t number) {
  return {.key = "web",
          .number = number,
          .id = {static_cast<uint8_t>(number)},
          .state = VersionState::kPending,
          .spki = {1, 2, 3},
          .reference = {4, 5},
          .created = WallTime(std::chrono::milliseconds(1234))};
}

class StoreTest : public ::testing::Test {
 protected:
  void Reopen() { stored_.Reopen(); }
  StoredState Load() { return stored_.Load(); }
  // A commit of one change.
  template <class Change>
  Result<void> Commit(Change change) {
    return stored_.Commit(change);
  }
  Result<void> Announce(const KeyRecord& key, const VersionRecord& version) {
    return Commit([&](StoreWriter& store) { return store.AnnounceVersion(key, version); });
  }
  Result<void> Activate(const VersionRecord& version) {
    return Commit([&](StoreWriter& store) -> Result<void> {
      KEYWARD_TRY(store.RecordMade(version));
      return store.ActivateVersion(version, kNow, kRetireAt);
    });
  }
  // What somebody with another SQLite does to the closed store.
  void Edit(const std::string& sql) {
    stored_.Close();
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open(stored_.path().c_str(), &other), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(other, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(other);
    EXPECT_EQ(sqlite3_close(other), SQLITE_OK);
  }

  // A store as an earlier Keyward has left it, in epoch 4: `schemas` one after the other.
  void WriteOld(const std::string& path, const std::vector<std::string>& schemas) {
    sqlite3* old = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &old), SQLITE_OK);
    const auto execute = [old](const std::string& sql) {
      EXPECT_EQ(sqlite3_exec(old, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
          << sqlite3_errmsg(old);
    };
    for (const std::string& schema : schemas) execute(schema);
    execute("UPDATE version SET reference = x''");
    const StoreKeys keys = stored_.Keys();
    ASSERT_OK_AND_ASSIGN(const StoreMac mac, MacOfStore(old, 4, keys.mac, keys.bound_to));
    execute("INSERT INTO integrity VALUES (1, 4, x'" + ToHex(mac) + "')");
    EXPECT_EQ(sqlite3_close(old), SQLITE_OK);
  }

  testing_support::TestStore stored_;
};

TEST_F(StoreTest, AnAnnouncedVersionIsPendingAfterARestart) {
  ASSERT_OK(Announce(kKey, Version(1)));
  Reopen();
  const StoredState state = Load();
  ASSERT_EQ(state.versions.size(), 1U);
  EXPECT_EQ(state.versions[0].state, VersionState::kPending);
  EXPECT_EQ(state.versions[0].id, Version(1).id);
  EXPECT_EQ(state.keys[0].next_version, 2U);
}

TEST_F(StoreTest, ActivatingRetiresTheVersionBefore) {
  ASSERT_OK(Announce(kKey, Version(1)));
  ASSERT_OK(Activate(Version(1)));
  ASSERT_OK(Announce(kKey, Version(2)));
  ASSERT_OK(Activate(Version(2)));
  Reopen();
  const StoredState state = Load();
  ASSERT_EQ(state.versions.size(), 2U);
  EXPECT_EQ(state.versions[0].state, VersionState::kRetiring);
  EXPECT_EQ(state.versions[1].state, VersionState::kActive);
  EXPECT_EQ(state.versions[1].spki, Version(2).spki);
  EXPECT_EQ(state.versions[1].reference, Version(2).reference);
  EXPECT_EQ(state.versions[1].created, Version(2).created);
}

TEST_F(StoreTest, ForgettingTheOnlyPendingVersionForgetsItsKey) {
  ASSERT_OK(Announce(kKey, Version(1)));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.ForgetPending(Version(1).id); }));
  EXPECT_TRUE(Load().keys.empty());
}

TEST_F(StoreTest, AnActiveVersionIsNeverForgottenAsPending) {
  ASSERT_OK(Announce(kKey, Version(1)));
  ASSERT_OK(Activate(Version(1)));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.ForgetPending(Version(1).id); }));
  EXPECT_EQ(Load().versions.size(), 1U);
}

TEST_F(StoreTest, RevocationAndDeletionLast) {
  ASSERT_OK(Announce(kKey, Version(1)));
  ASSERT_OK(Activate(Version(1)));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.RevokeVersion(Version(1).id, kNow); }));
  Reopen();
  EXPECT_EQ(Load().versions[0].state, VersionState::kRevoked);
  ASSERT_OK(Commit([](StoreWriter& store) { return store.DestroyKey("web"); }));
  Reopen();
  ASSERT_EQ(Load().versions.size(), 1U);
  EXPECT_EQ(Load().versions[0].state, VersionState::kDestroyed);
  EXPECT_TRUE(Load().versions[0].reference.empty());
  EXPECT_FALSE(Load().versions[0].spki.empty());
}

// Of changes that wait, the last to be written may come too late.
TEST_F(StoreTest, NoStateIsTakenBack) {
  for (const uint32_t number : {1U, 2U}) {
    ASSERT_OK(Announce(kKey, Version(number)));
    ASSERT_OK(Activate(Version(number)));
  }
  ASSERT_OK(Commit([](StoreWriter& store) { return store.RevokeVersion(Version(1).id, kNow); }));
  EXPECT_FALSE(Load().versions[0].retire_at) << "its grace period is over";
  ASSERT_OK(Commit([](StoreWriter& store) { return store.RetireVersion(Version(1).id); }));
  EXPECT_EQ(Load().versions[0].state, VersionState::kRevoked);
  ASSERT_OK(Commit([](StoreWriter& store) { return store.RetireVersion(Version(2).id); }));
  EXPECT_EQ(Load().versions[1].state, VersionState::kActive);
  ASSERT_OK(Commit([](StoreWriter& store) { return store.DestroyVersion(Version(1).id); }));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.RevokeVersion(Version(1).id, kNow); }));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.RetireVersion(Version(1).id); }));
  EXPECT_EQ(Load().versions[0].state, VersionState::kDestroyed);
}

TEST_F(StoreTest, ARevokedKeyHasNoGracePeriod) {
  for (const uint32_t number : {1U, 2U}) {
    ASSERT_OK(Announce(kKey, Version(number)));
    ASSERT_OK(Activate(Version(number)));
  }
  ASSERT_OK(Commit([](StoreWriter& store) { return store.RevokeKey("web", kNow); }));
  Reopen();
  for (const VersionRecord& version : Load().versions) {
    EXPECT_EQ(version.state, VersionState::kRevoked);
    EXPECT_FALSE(version.retire_at);
  }
}

TEST_F(StoreTest, ADestroyedKeyLeavesNothingOfWhatWasOnlyAnnounced) {
  ASSERT_OK(Announce(kKey, Version(1)));
  ASSERT_OK(Activate(Version(1)));
  ASSERT_OK(Announce(kKey, Version(2)));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.DestroyKey("web"); }));
  EXPECT_EQ(Load().versions.size(), 1U);
}

TEST_F(StoreTest, WhatIsPreparedIsNotForgottenAsPending) {
  ASSERT_OK(Announce(kKey, Version(1)));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.RecordMade(Version(1)); }));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.ForgetPending(Version(1).id); }));
  ASSERT_EQ(Load().versions.size(), 1U);
  EXPECT_EQ(Load().versions[0].state, VersionState::kPending);
  EXPECT_EQ(Load().versions[0].reference, Version(1).reference);
}

TEST_F(StoreTest, TimesAndUsesLast) {
  ASSERT_OK(Announce(kKey, Version(1)));
  ASSERT_OK(Activate(Version(1)));
  ASSERT_OK(Announce(kKey, Version(2)));
  ASSERT_OK(Activate(Version(2)));
  const VersionUses uses{Version(1).id, 42};
  ASSERT_OK(Commit([&](StoreWriter& store) { return store.PutUses(std::span(&uses, 1)); }));
  Reopen();
  EXPECT_EQ(Load().versions[0].activated, kNow);
  EXPECT_EQ(Load().versions[0].retire_at, kRetireAt);
  EXPECT_EQ(Load().versions[0].uses, 42U);
  EXPECT_FALSE(Load().versions[1].retire_at);
  ASSERT_OK(Commit([](StoreWriter& store) { return store.RetireVersion(Version(1).id); }));
  EXPECT_EQ(Load().versions[0].state, VersionState::kRetired);
  EXPECT_FALSE(Load().versions[0].retire_at);
}

TEST_F(StoreTest, ADeletedKeyTakesTheEnrolmentsOfItsModulesAlong) {
  ASSERT_OK(Announce(kKey, Version(1)));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.PutModule({"frontend", "web"}); }));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.PutModule({"backend", "other"}); }));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.DestroyKey("web"); }));
  ASSERT_EQ(Load().modules.size(), 1U);
  EXPECT_EQ(Load().modules[0].name, "backend");
}

TEST_F(StoreTest, ModulesAndPeersLastUntilDeleted) {
  ASSERT_OK(Commit([](StoreWriter& store) { return store.PutModule({"frontend", "web"}); }));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.PutPeer({"far", {9}}); }));
  Reopen();
  EXPECT_EQ(Load().modules[0].key, "web");
  EXPECT_EQ(Load().peers[0].spki, Bytes{9});
  ASSERT_OK(Commit([](StoreWriter& store) { return store.DeleteModule("frontend"); }));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.DeletePeer("far"); }));
  EXPECT_TRUE(Load().modules.empty());
  EXPECT_TRUE(Load().peers.empty());
}

TEST_F(StoreTest, TheFileIsForItsOwnerAlone) {
  struct stat info{};
  ASSERT_EQ(stat(stored_.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(StoreTest, AReferenceIsNotReadableInTheFile) {
  VersionRecord version = Version(1);
  version.reference = ToBytes(AsBytes("the reference of a key"));
  ASSERT_OK(Announce(kKey, Version(1)));
  ASSERT_OK(Activate(version));
  EXPECT_EQ(Load().versions[0].reference, version.reference);
  stored_.Close();
  ASSERT_OK_AND_ASSIGN(const std::optional<Bytes> file, ReadFile(stored_.path(), 1 << 20));
  EXPECT_EQ(AsText(*file).find("the reference"), std::string_view::npos);
}

TEST_F(StoreTest, AChangeThatFailsLeavesNothing) {
  const uint64_t epoch = stored_.store().epoch();
  EXPECT_THAT(Commit([](StoreWriter& store) -> Result<void> {
                KEYWARD_TRY(store.PutModule({"frontend", "web"}));
                return Fail(ErrorCode::kInternal, "on purpose");
              }),
              FailsWith(ErrorCode::kInternal));
  EXPECT_EQ(stored_.store().epoch(), epoch);
  EXPECT_TRUE(Load().modules.empty());
  Reopen();
  EXPECT_TRUE(Load().modules.empty());
}

TEST_F(StoreTest, TheEpochAdvancesWithLifecycleEventsAlone) {
  const uint64_t epoch = stored_.store().epoch();
  const auto enrol = [](StoreWriter& store) { return store.PutModule({"frontend", "web"}); };
  ASSERT_OK(stored_.store().Commit(enrol, Store::Epoch::kStays));
  EXPECT_EQ(stored_.store().epoch(), epoch);
  ASSERT_OK(stored_.store().Commit(enrol, Store::Epoch::kAdvances));
  Reopen();
  EXPECT_EQ(stored_.store().epoch(), epoch + 1);
}

// Every value of every row, and what only looks like an addition.
TEST_F(StoreTest, AnEditedStoreIsRefused) {
  for (const char* edit : {
           "UPDATE version SET state = 2 WHERE state = 4",
           "UPDATE version SET spki = x'00'",
           "UPDATE version SET reference = (SELECT reference FROM version WHERE number = 2)",
           "UPDATE version SET created = created + 1",
           "UPDATE key SET custody = 'sealed'",
           "UPDATE key SET next_version = 9",
           "UPDATE module SET key = 'other'",
           "INSERT INTO module VALUES ('extra', 'web')",
           "DELETE FROM peer",
           "INSERT INTO peer VALUES ('extra', x'00')",
           "UPDATE integrity SET epoch = epoch + 1",
           "UPDATE integrity SET mac = zeroblob(32)",
           "UPDATE integrity SET mac = x''",
           "DELETE FROM integrity",
           "DROP TABLE integrity",
           "DROP TABLE peer",
           "CREATE TABLE extra (a)",
           "CREATE TRIGGER t AFTER INSERT ON module BEGIN DELETE FROM peer; END",
           "CREATE INDEX i ON module (key)",
       }) {
    SCOPED_TRACE(edit);
    testing_support::TestStore fresh;
    ASSERT_OK(fresh.Commit([](StoreWriter& store) -> Result<void> {
      for (const uint32_t number : {1U, 2U}) {
        KEYWARD_TRY(store.AnnounceVersion(kKey, Version(number)));
        KEYWARD_TRY(store.RecordMade(Version(number)));
        KEYWARD_TRY(store.ActivateVersion(Version(number), kNow, kRetireAt));
      }
      KEYWARD_TRY(store.RevokeVersion(Version(1).id, kNow));
      KEYWARD_TRY(store.PutModule({"frontend", "web"}));
      return store.PutPeer({"far", {9}});
    }));
    fresh.Close();
    EXPECT_OK(fresh.TryOpen());
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open(fresh.path().c_str(), &other), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(other, edit, nullptr, nullptr, nullptr), SQLITE_OK);
    EXPECT_EQ(sqlite3_close(other), SQLITE_OK);
    EXPECT_THAT(fresh.TryOpen(), FailsWith(ErrorCode::kDataCorrupt));
  }
}

// What somebody else writes while keyd runs does not get a MAC from keyd's next commit.
TEST_F(StoreTest, AnEditBesideARunningStoreIsNeverTakenOver) {
  ASSERT_OK(Announce(kKey, Version(1)));
  ASSERT_OK(Activate(Version(1)));
  ASSERT_OK(Commit([](StoreWriter& store) { return store.RevokeVersion(Version(1).id, kNow); }));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(stored_.path().c_str(), &other), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(other, "UPDATE version SET state = 2", nullptr, nullptr, nullptr),
            SQLITE_OK);
  EXPECT_EQ(sqlite3_close(other), SQLITE_OK);
  EXPECT_THAT(Commit([](StoreWriter& store) { return store.PutModule({"frontend", "web"}); }),
              FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_THAT(stored_.store().Load(), FailsWith(ErrorCode::kDataCorrupt));
  stored_.Close();
  EXPECT_THAT(stored_.TryOpen(), FailsWith(ErrorCode::kDataCorrupt));
}

// SQLite deletes the write-ahead log when it believes that it closes the last connection.
TEST_F(StoreTest, AReaderInAnotherProcessTakesNothingAway) {
  ASSERT_OK(Commit([](StoreWriter& store) { return store.PutModule({"first", "web"}); }));
  const pid_t reader = fork();
  ASSERT_GE(reader, 0);
  if (reader == 0) {
    sqlite3* other = nullptr;
    const bool read =
        sqlite3_open(stored_.path().c_str(), &other) == SQLITE_OK &&
        sqlite3_exec(other, "SELECT * FROM module", nullptr, nullptr, nullptr) == SQLITE_OK &&
        sqlite3_close(other) == SQLITE_OK;
    _exit(read ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(reader, &status, 0), reader);
  EXPECT_EQ(status, 0);
  ASSERT_OK(Commit([](StoreWriter& store) { return store.PutModule({"second", "web"}); }));
  EXPECT_TRUE(std::filesystem::exists(stored_.path() + "-wal"));
  // What is on disk now, as after a kill of the process that holds the store.
  const TempDir killed;
  for (const char* suffix : {"", "-wal"}) {
    std::filesystem::copy_file(stored_.path() + suffix, killed.File("state.db") + suffix);
  }
  SystemRng rng;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> left,
                       Store::Open(killed.File("state.db"), stored_.Keys(), rng));
  EXPECT_EQ(left->Load().value().modules.size(), 2U);
}

TEST_F(StoreTest, AStoreBoundToAnotherCounterIsRefused) {
  stored_.Close();
  StoreKeys keys = stored_.Keys();
  keys.bound_to.push_back(4);
  SystemRng rng;
  EXPECT_THAT(Store::Open(stored_.path(), std::move(keys), rng),
              FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(StoreTest, APipeBesideTheStoreIsRefused) {
  stored_.Close();
  ASSERT_EQ(mkfifo((stored_.path() + "-journal").c_str(), 0600), 0);
  EXPECT_THAT(stored_.TryOpen(), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(StoreTest, AStoreUnderAnotherMasterKeyIsRefused) {
  const testing_support::TestStore other;
  SystemRng rng;
  stored_.Close();
  EXPECT_THAT(Store::Open(stored_.path(), other.Keys(), rng), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(StoreTest, AFileThatIsMissingOrNoDatabaseIsRefused) {
  SystemRng rng;
  const TempDir directory;
  EXPECT_THAT(Store::Open(directory.File("state.db"), stored_.Keys(), rng),
              FailsWith(ErrorCode::kNotInitialised));
  std::ofstream(directory.File("state.db")) << std::string(4096, 'x');
  EXPECT_THAT(Store::Open(directory.File("state.db"), stored_.Keys(), rng),
              FailsWith(ErrorCode::kDataCorrupt));
}

// A page that holds nothing may end the file: what lacks that alone has lost nothing.
TEST_F(StoreTest, ATruncatedFileIsRefusedOrHasLostNothing) {
  ASSERT_OK(Announce(kKey, Version(1)));
  // What ends in zeros reads the same when it is cut off.
  audit::Head head{.seq = 1, .hash = {}};
  head.hash.fill(7);
  ASSERT_OK(stored_.Commit([&head](StoreWriter& store) { return store.PutAuditHead(head, true); }));
  stored_.Close();
  const auto whole = std::filesystem::file_size(stored_.path());
  size_t refused = 0;
  for (uintmax_t size = 0; size < whole; size += 1000) {
    std::filesystem::resize_file(stored_.path(), whole - size - 1);
    const Result<std::unique_ptr<Store>> store = stored_.TryOpen();
    if (!store && ++refused > 0) continue;
    ASSERT_OK_AND_ASSIGN(const StoredState state, (*store)->Load());
    EXPECT_EQ(state.versions.size(), 1U) << whole - size - 1;
  }
  EXPECT_GT(refused, whole / 2000);
}

TEST_F(StoreTest, ACorruptedPageIsRefused) {
  ASSERT_OK(Announce(kKey, Version(1)));
  ASSERT_OK(Activate(Version(1)));
  stored_.Close();
  ASSERT_OK_AND_ASSIGN(const std::optional<Bytes> whole, ReadFile(stored_.path(), 1 << 20));
  constexpr size_t kPage = 4096;
  for (size_t page = 0; page < whole->size() / kPage; ++page) {
    Bytes damaged = *whole;
    for (size_t i = 0; i < kPage; i += 64) damaged.at(page * kPage + i) ^= 0x5a;
    ASSERT_OK(ReplaceFile(stored_.path(), damaged));
    EXPECT_FALSE(stored_.TryOpen()) << "page " << page;
  }
  ASSERT_OK(ReplaceFile(stored_.path(), *whole));
  EXPECT_OK(stored_.TryOpen());
}

TEST_F(StoreTest, AStoreOfANewerKeywardIsLeftAlone) {
  Edit("PRAGMA user_version = 99");
  EXPECT_THAT(stored_.TryOpen(), FailsWith(ErrorCode::kConfiguration));
}

// The connections that SQLite opens while it lives, whose settings nobody else can ask for.
class Connections {
 public:
  Connections() {
    all().clear();
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(Note));  // NOLINT: SQLite's own type
  }
  ~Connections() { sqlite3_reset_auto_extension(); }
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  sqlite3* last() const { return all().empty() ? nullptr : all().back(); }

 private:
  static int Note(sqlite3* opened, char** /*error*/, const void* /*functions*/) {
    all().push_back(opened);
    return SQLITE_OK;
  }
  static std::vector<sqlite3*>& all() {
    static std::vector<sqlite3*> opened;
    return opened;
  }
};

std::string Pragma(sqlite3* database, const std::string& name) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database, ("PRAGMA " + name).c_str(), -1, &statement, nullptr) !=
          SQLITE_OK ||
      sqlite3_step(statement) != SQLITE_ROW) {
    return sqlite3_errmsg(database);
  }
  const std::string value(
      reinterpret_cast<const char*>(sqlite3_column_text(statement, 0)));  // NOLINT: text is bytes
  sqlite3_finalize(statement);
  return value;
}

TEST_F(StoreTest, WhatIsCommittedIsInAWriteAheadLogThatIsSynced) {
  constexpr const char* kFull = "2";
  const TempDir directory;
  const std::string path = directory.File("state.db");
  SystemRng rng;
  const Connections connections;
  for (int open = 0; open < 2; ++open) {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store,
                         open == 0 ? Store::Create(path, stored_.Keys(), rng, 3, {})
                                   : Store::Open(path, stored_.Keys(), rng));
    ASSERT_NE(connections.last(), nullptr);
    EXPECT_EQ(Pragma(connections.last(), "journal_mode"), "wal");
    EXPECT_EQ(Pragma(connections.last(), "synchronous"), kFull);
    EXPECT_EQ(Pragma(connections.last(), "secure_delete"), "1");
  }
}

// As the first schema was written, which had no MAC.
constexpr const char* kVersion1 = R"(
  PRAGMA journal_mode = WAL;
  CREATE TABLE key (
    name TEXT PRIMARY KEY, algorithm TEXT NOT NULL, custody TEXT NOT NULL,
    custodian TEXT NOT NULL, next_version INTEGER NOT NULL) STRICT;
  CREATE TABLE version (
    id BLOB PRIMARY KEY, key TEXT NOT NULL REFERENCES key(name) ON DELETE CASCADE,
    number INTEGER NOT NULL, state INTEGER NOT NULL, spki BLOB NOT NULL,
    reference BLOB NOT NULL, created INTEGER NOT NULL, UNIQUE (key, number)) STRICT;
  CREATE TABLE module (name TEXT PRIMARY KEY, key TEXT NOT NULL) STRICT;
  CREATE TABLE peer (name TEXT PRIMARY KEY, spki BLOB NOT NULL) STRICT;
  INSERT INTO key VALUES ('web', 'ecdsa-p256', 'hardware', 'hsm', 2);
  INSERT INTO version VALUES (x'000102030405060708090a0b0c0d0e0f', 'web', 1, 2, x'01', x'02', 1234);
  INSERT INTO module VALUES ('frontend', 'web');
  INSERT INTO peer VALUES ('far', x'09');
  PRAGMA user_version = 1;
)";

TEST_F(StoreTest, AStoreOfTheFirstVersionIsReadForItsAdoptionAlone) {
  const TempDir directory;
  const std::string path = directory.File("state.db");
  sqlite3* old = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &old), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(old, kVersion1, nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(sqlite3_close(old), SQLITE_OK);
  SystemRng rng;
  const auto refused = Store::Open(path, stored_.Keys(), rng);
  ASSERT_THAT(refused, FailsWith(ErrorCode::kNotInitialised));
  // Where there is a master key already, keyctl init takes nothing over.
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("put back the right state.db"));
  ASSERT_OK_AND_ASSIGN(const StoredState state, Store::ReadUnauthenticated(path));
  const std::string adopted = directory.File("adopted.db");
  ASSERT_OK(Store::Create(adopted, stored_.Keys(), rng, 3, state));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store,
                       Store::Open(adopted, stored_.Keys(), rng));
  ASSERT_OK_AND_ASSIGN(const StoredState read, store->Load());
  ASSERT_EQ(read.versions.size(), 1U);
  EXPECT_EQ(read.versions[0].state, VersionState::kActive);
  EXPECT_EQ(read.versions[0].reference, Bytes{2});
  EXPECT_EQ(read.versions[0].id[15], 15);
  EXPECT_EQ(read.modules[0].key, "web");
  EXPECT_EQ(read.peers[0].spki, Bytes{9});
  EXPECT_EQ(store->epoch(), 3U);
}

// As the second schema was written: with a MAC, before versions had times and uses.
constexpr const char* kVersion2 = R"(
  CREATE TABLE integrity (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, mac BLOB NOT NULL) STRICT;
  INSERT INTO version VALUES (x'100102030405060708090a0b0c0d0e0f', 'web', 2, 3, x'03', x'', 1235);
  PRAGMA user_version = 2;
)";

TEST_F(StoreTest, AStoreOfTheSecondVersionIsMigratedUnderItsMac) {
  const TempDir directory;
  const std::string path = directory.File("state.db");
  WriteOld(path, {kVersion1, kVersion2});
  SystemRng rng;
  for (int open = 0; open < 2; ++open) {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store,
                         Store::Open(path, stored_.Keys(), rng));
    EXPECT_EQ(store->epoch(), 4U);
    ASSERT_OK_AND_ASSIGN(const StoredState state, store->Load());
    ASSERT_EQ(state.versions.size(), 2U);
    EXPECT_EQ(state.versions[0].activated, state.versions[0].created);
    EXPECT_TRUE(state.versions[1].retire_at);  // it gets a grace period from now on
    EXPECT_EQ(state.versions[1].uses, 0U);
  }
}

// As the third schema was written: before there was an audit log.
constexpr const char* kVersion3 = R"(
  ALTER TABLE version ADD COLUMN activated INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE version ADD COLUMN retire_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE version ADD COLUMN uses INTEGER NOT NULL DEFAULT 5;
  UPDATE version SET state = 4 WHERE number = 2;
  PRAGMA user_version = 3;
)";

TEST_F(StoreTest, AStoreOfTheThirdVersionIsMigratedUnderItsMac) {
  const TempDir directory;
  const std::string path = directory.File("state.db");
  WriteOld(path, {kVersion1, kVersion2, kVersion3});
  SystemRng rng;
  const audit::Head head{.seq = 9, .hash = {7}};
  {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store,
                         Store::Open(path, stored_.Keys(), rng));
    ASSERT_OK_AND_ASSIGN(const StoredState state, store->Load());
    ASSERT_EQ(state.versions.size(), 2U);
    EXPECT_EQ(state.versions[0].uses, 5U);
    EXPECT_FALSE(state.audit_head);
    ASSERT_OK(store->Commit([&](StoreWriter& writer) { return writer.PutAuditHead(head, false); },
                            Store::Epoch::kStays));
  }
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store, Store::Open(path, stored_.Keys(), rng));
  ASSERT_OK_AND_ASSIGN(const StoredState state, store->Load());
  EXPECT_EQ(state.audit_head, head);
}

// As the fourth schema was written: before revocations had a time and a table.
constexpr const char* kVersion4 = R"(
  CREATE TABLE audit_head (
    one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
  PRAGMA user_version = 4;
)";

TEST_F(StoreTest, AStoreOfTheFourthVersionIsMigratedUnderItsMac) {
  const TempDir directory;
  const std::string path = directory.File("state.db");
  WriteOld(path, {kVersion1, kVersion2, kVersion3, kVersion4});
  SystemRng rng;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store, Store::Open(path, stored_.Keys(), rng));
  ASSERT_OK_AND_ASSIGN(const StoredState state, store->Load());
  ASSERT_EQ(state.versions.size(), 2U);
  EXPECT_FALSE(state.versions[0].revoked);
  EXPECT_TRUE(state.versions[1].revoked);  // as of now, for want of a better time
  EXPECT_TRUE(state.revocations.empty());
}

// As the fifth schema was written: before the audit log had a tail.
constexpr const char* kVersion5 = R"(
  ALTER TABLE version ADD COLUMN revoked INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE revocation (
    fingerprint BLOB NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL,
    issuer BLOB NOT NULL, PRIMARY KEY (fingerprint, issuer)) STRICT;
  INSERT INTO audit_head VALUES (1, 9, zeroblob(32));
  PRAGMA user_version = 5;
)";

TEST_F(StoreTest, AStoreOfTheFifthVersionIsMigratedUnderItsMac) {
  const TempDir directory;
  const std::string path = directory.File("state.db");
  WriteOld(path, {kVersion1, kVersion2, kVersion3, kVersion4, kVersion5});
  SystemRng rng;
  const audit::Head head{.seq = 9, .hash = {}};
  for (const bool has_tail : {false, true}) {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store,
                         Store::Open(path, stored_.Keys(), rng));
    ASSERT_OK_AND_ASSIGN(const StoredState state, store->Load());
    EXPECT_EQ(state.audit_head, head);
    EXPECT_EQ(state.audit_tail, has_tail);  // none, until a keyd that writes one says so
    ASSERT_OK(store->Commit([&](StoreWriter& writer) { return writer.PutAuditHead(head, true); },
                            Store::Epoch::kStays));
  }
}

// As the sixth schema was written: before the time that keys age by was written down.
constexpr const char* kVersion6 = R"(
  ALTER TABLE audit_head ADD COLUMN tail INTEGER NOT NULL DEFAULT 0;
  UPDATE audit_head SET tail = 1;
  PRAGMA user_version = 6;
)";

TEST_F(StoreTest, AStoreOfTheSixthVersionIsMigratedUnderItsMac) {
  const TempDir directory;
  const std::string path = directory.File("state.db");
  WriteOld(path, {kVersion1, kVersion2, kVersion3, kVersion4, kVersion5, kVersion6});
  SystemRng rng;
  for (const std::optional<WallTime> time : {std::optional<WallTime>(), std::optional(kNow)}) {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store,
                         Store::Open(path, stored_.Keys(), rng));
    ASSERT_OK_AND_ASSIGN(const StoredState state, store->Load());
    EXPECT_TRUE(state.audit_tail);
    EXPECT_EQ(state.lifecycle_time, time);
    ASSERT_OK(store->Commit([](StoreWriter& writer) { return writer.PutLifecycleTime(kNow); },
                            Store::Epoch::kStays));
  }
}

// A reseal makes a store of what is in another one.
TEST_F(StoreTest, TheTimeThatKeysAgeByGoesAlong) {
  SystemRng rng;
  const TempDir directory;
  StoredState state;
  state.lifecycle_time = kNow;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> made,
                       Store::Create(directory.File("state.db"), stored_.Keys(), rng, 1, state));
  ASSERT_OK_AND_ASSIGN(const StoredState read, made->Load());
  EXPECT_EQ(read.lifecycle_time, kNow);
}

TEST_F(StoreTest, WhoeverElseWritesIsWaitedForAndNotForLong) {
  const testing_support::WriteLock lock(stored_.path());
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_THAT(Commit([](StoreWriter& store) { return store.PutModule({"frontend", "web"}); }),
              FailsWith(ErrorCode::kIo));
  const auto took = std::chrono::steady_clock::now() - begun;
  EXPECT_GE(took, std::chrono::milliseconds(100));
  EXPECT_LT(took, std::chrono::seconds(5));
}

// On a file system without shared memory, as dot files for locks stand for here, SQLite takes
// another journal, and says no more than that.
TEST_F(StoreTest, WithoutAWriteAheadLogThereIsNoStore) {
  struct WithoutSharedMemory {
    WithoutSharedMemory() { Use("unix-dotfile"); }
    ~WithoutSharedMemory() { Use("unix"); }
    static void Use(const char* files) {
      EXPECT_EQ(sqlite3_vfs_register(sqlite3_vfs_find(files), 1), SQLITE_OK);
    }
  };
  SystemRng rng;
  const TempDir directory;
  const WithoutSharedMemory there;
  const Result<std::unique_ptr<Store>> made =
      Store::Create(directory.File("state.db"), stored_.Keys(), rng, 1, {});
  ASSERT_THAT(made, FailsWith(ErrorCode::kIo));
  EXPECT_THAT(made.error().message(), ::testing::HasSubstr("write-ahead log"));
}

TEST_F(StoreTest, AnAuditHeadThatIsNoneIsRefused) {
  ASSERT_OK(stored_.Commit(
      [](StoreWriter& store) { return store.PutAuditHead({.seq = 1, .hash = {}}, false); }));
  EXPECT_OK(stored_.store().Load());
  Edit("UPDATE audit_head SET hash = x'00'");
  EXPECT_THAT(stored_.TryOpen(), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(StoreTest, WithoutAKeyThereIsNoMac) {
  const TempDir directory;
  SystemRng rng;
  EXPECT_THAT(
      Store::Create(directory.File("state.db"), {SecretBytes(), SecretBytes(), {1}}, rng, 1, {}),
      FailsWith(ErrorCode::kInternal));
}

TEST_F(StoreTest, AStoreWithAMacIsNotAdopted) {
  stored_.Close();
  EXPECT_THAT(Store::ReadUnauthenticated(stored_.path()), FailsWith(ErrorCode::kNotFound));
}

}  // namespace
}  // namespace keyward
