#include "keyd/store.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;
using testing_support::TempDir;

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
  void SetUp() override { Reopen(); }
  void Reopen() {
    store_.reset();
    ASSERT_OK_AND_ASSIGN(store_, Store::Open(directory_.File("state.db")));
  }
  StoredState Load() { return store_->Load().value(); }

  TempDir directory_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, AnAnnouncedVersionIsPendingAfterARestart) {
  ASSERT_OK(store_->AnnounceVersion(kKey, Version(1)));
  Reopen();
  const StoredState state = Load();
  ASSERT_EQ(state.versions.size(), 1U);
  EXPECT_EQ(state.versions[0].state, VersionState::kPending);
  EXPECT_EQ(state.versions[0].id, Version(1).id);
  EXPECT_EQ(state.keys[0].next_version, 2U);
}

TEST_F(StoreTest, ActivatingRetiresTheVersionBefore) {
  ASSERT_OK(store_->AnnounceVersion(kKey, Version(1)));
  ASSERT_OK(store_->ActivateVersion(Version(1)));
  ASSERT_OK(store_->AnnounceVersion(kKey, Version(2)));
  ASSERT_OK(store_->ActivateVersion(Version(2)));
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
  ASSERT_OK(store_->AnnounceVersion(kKey, Version(1)));
  ASSERT_OK(store_->ForgetPending(Version(1).id));
  EXPECT_TRUE(Load().keys.empty());
}

TEST_F(StoreTest, AnActiveVersionIsNeverForgottenAsPending) {
  ASSERT_OK(store_->AnnounceVersion(kKey, Version(1)));
  ASSERT_OK(store_->ActivateVersion(Version(1)));
  ASSERT_OK(store_->ForgetPending(Version(1).id));
  EXPECT_EQ(Load().versions.size(), 1U);
}

TEST_F(StoreTest, RevocationAndDeletionLast) {
  ASSERT_OK(store_->AnnounceVersion(kKey, Version(1)));
  ASSERT_OK(store_->ActivateVersion(Version(1)));
  ASSERT_OK(store_->RevokeVersions({Version(1).id}));
  Reopen();
  EXPECT_EQ(Load().versions[0].state, VersionState::kRevoked);
  ASSERT_OK(store_->DeleteKey("web"));
  Reopen();
  EXPECT_TRUE(Load().versions.empty());
}

TEST_F(StoreTest, ADeletedKeyTakesTheEnrolmentsOfItsModulesAlong) {
  ASSERT_OK(store_->AnnounceVersion(kKey, Version(1)));
  ASSERT_OK(store_->PutModule({"frontend", "web"}));
  ASSERT_OK(store_->PutModule({"backend", "other"}));
  ASSERT_OK(store_->DeleteKey("web"));
  ASSERT_EQ(Load().modules.size(), 1U);
  EXPECT_EQ(Load().modules[0].name, "backend");
}

TEST_F(StoreTest, ModulesAndPeersLastUntilDeleted) {
  ASSERT_OK(store_->PutModule({"frontend", "web"}));
  ASSERT_OK(store_->PutPeer({"far", {9}}));
  Reopen();
  EXPECT_EQ(Load().modules[0].key, "web");
  EXPECT_EQ(Load().peers[0].spki, Bytes{9});
  ASSERT_OK(store_->DeleteModule("frontend"));
  ASSERT_OK(store_->DeletePeer("far"));
  EXPECT_TRUE(Load().modules.empty());
  EXPECT_TRUE(Load().peers.empty());
}

TEST_F(StoreTest, TheFileIsForItsOwnerAlone) {
  struct stat info{};
  ASSERT_EQ(stat(directory_.File("state.db").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsRefused) {
  std::ofstream(directory_.File("other.db")) << std::string(4096, 'x');
  EXPECT_THAT(Store::Open(directory_.File("other.db")), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(StoreTest, ATruncatedFileIsRefused) {
  ASSERT_OK(store_->AnnounceVersion(kKey, Version(1)));
  store_.reset();
  std::filesystem::resize_file(directory_.File("state.db"), 4096 + 100);
  Result<std::unique_ptr<Store>> store = Store::Open(directory_.File("state.db"));
  if (store) {
    EXPECT_THAT((*store)->Load(), FailsWith(ErrorCode::kDataCorrupt));
  } else {
    EXPECT_THAT(store, FailsWith(ErrorCode::kDataCorrupt));
  }
}

TEST_F(StoreTest, AVersionOfNoKeyIsRefused) {
  ASSERT_OK(store_->AnnounceVersion(kKey, Version(1)));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(directory_.File("state.db").c_str(), &other), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(other, "DELETE FROM key", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(sqlite3_close(other), SQLITE_OK);
  Reopen();
  EXPECT_THAT(store_->Load(), FailsWith(ErrorCode::kDataCorrupt));
}

}  // namespace
}  // namespace keyward
