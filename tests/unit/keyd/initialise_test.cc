#include "keyd/initialise.h"

#include "core/file.h"
#include "keyd/former_home.h"
#include "keyd/master_key.h"
#include "keyd/master_record.h"
#include "keyd/second_record.h"
#include "keyd/store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/keyd/hooked_custodian.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

class InitialiseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    pools_["hsm"] = std::make_unique<CustodianPool>(
        "hsm", testing_support::HookedFactory(hardware_, hooks_), 1, clock_);
  }
  Result<void> Init(bool adopt = false) {
    return Initialise({"hsm", std::nullopt, adopt}, pools_, directory_.path(), rng_);
  }
  bool IsThere(const std::string& name) {
    return FileExists(directory_.path() / name).value_or(true);
  }
  std::optional<MasterRecord> Record() {
    return ReadMasterRecord(directory_.path() / kMasterFile).value();
  }
  // Whether the hardware releases a master key that opens the store.
  Result<void> Open() {
    KEYWARD_ASSIGN(const std::unique_ptr<Custodian> custodian, hardware_.Make());
    const MasterRecord record = Record().value();
    KEYWARD_ASSIGN(SecretBytes bytes,
                   custodian->master_sealer().UnsealMaster(record.seal, record.record, {}));
    KEYWARD_ASSIGN(const MasterKey master, MasterKey::FromBytes(std::move(bytes)));
    StoreKeys keys;
    KEYWARD_ASSIGN(keys.mac, master.Derive(Subkey::kStoreMac));
    KEYWARD_ASSIGN(keys.wrapping, master.Derive(Subkey::kWrapping));
    keys.bound_to = BindingOf(record);
    KEYWARD_ASSIGN(const std::unique_ptr<Store> store,
                   Store::Open(directory_.File(kStateFile), std::move(keys), rng_));
    KEYWARD_ASSIGN(const uint64_t counter, custodian->counter().Read(record.counter));
    if (store->epoch() != counter) return Fail(ErrorCode::kRolledBack, "another epoch");
    return {};
  }

  testing_support::TempDir directory_;
  testing_support::FakeClock clock_;
  SystemRng rng_;
  fakes::FakeHardware hardware_;
  testing_support::CustodianHooks hooks_;
  KeyRingPools pools_;
};

TEST_F(InitialiseTest, MakesAMasterKeyAndAStoreUnderIt) {
  ASSERT_OK(Init());
  EXPECT_OK(Open());
  EXPECT_FALSE(IsThere(kMasterDraft));
  EXPECT_FALSE(IsThere(kStateDraft));
  EXPECT_EQ(hardware_.MasterCount(), 1U);
}

TEST_F(InitialiseTest, HappensOnce) {
  ASSERT_OK(Init());
  const Bytes record = Record()->record;
  EXPECT_THAT(Init(), FailsWith(ErrorCode::kAlreadyExists));
  EXPECT_EQ(Record()->record, record);
}

TEST_F(InitialiseTest, NeedsTheCustodianToBeConfigured) {
  EXPECT_THAT(Initialise({"tpm", std::nullopt, false}, pools_, directory_.path(), rng_),
              FailsWith(ErrorCode::kConfiguration));
}

TEST_F(InitialiseTest, WithoutHardwareNothingIsMadeAndItCanBeRepeated) {
  hardware_.SetAvailable(false);
  EXPECT_THAT(Init(), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_FALSE(IsThere(kMasterFile));
  hardware_.SetAvailable(true);
  ASSERT_OK(Init());
  EXPECT_OK(Open());
}

TEST_F(InitialiseTest, WhatAnInterruptedOneLeftIsRemoved) {
  ASSERT_OK(Init());
  // As if it had been killed before the record was made.
  MasterRecord draft = *Record();
  draft.record.clear();
  ASSERT_OK(ReplaceFile(directory_.path() / kMasterDraft, Encode(draft)));
  ASSERT_OK(RemoveFile(directory_.path() / kMasterFile));
  ASSERT_OK(MoveFile(directory_.path() / kStateFile, directory_.path() / kStateDraft));
  ASSERT_OK(Init());
  EXPECT_OK(Open());
  EXPECT_EQ(hardware_.MasterCount(), 1U);
  EXPECT_FALSE(IsThere(kMasterDraft));
  EXPECT_FALSE(IsThere(kStateDraft));
}

// As when somebody has renamed it: what it names in the hardware is in use.
TEST_F(InitialiseTest, ARecordThatWasMadeIsNoDraft) {
  ASSERT_OK(Init());
  ASSERT_OK(MoveFile(directory_.path() / kMasterFile, directory_.path() / kMasterDraft));
  EXPECT_THAT(Init(), FailsWith(ErrorCode::kAlreadyExists));
  ASSERT_OK(MoveFile(directory_.path() / kStateFile, directory_.path() / "away"));
  EXPECT_THAT(Init(), FailsWith(ErrorCode::kAlreadyExists));
  EXPECT_EQ(hardware_.MasterCount(), 1U);
}

// A directory whose master-key was taken away, with a draft that names what other files tell of.
TEST_F(InitialiseTest, ADraftThatNamesWhatIsInUseDestroysNothing) {
  ASSERT_OK(Init());
  MasterRecord draft = *Record();
  ASSERT_OK(MoveFile(directory_.path() / kMasterFile, directory_.path() / "away"));
  ASSERT_OK(MoveFile(directory_.path() / kStateFile, directory_.path() / "away.db"));
  draft.record.clear();
  ASSERT_OK(ReplaceFile(directory_.path() / kMasterDraft, Encode(draft)));
  const FormerHome former{{"hsm", {9}, draft.counter}, Bytes(32, 1)};
  ASSERT_OK(ReplaceFile(directory_.path() / kMasterFormer, Encode(former)));
  EXPECT_THAT(Init(), FailsWith(ErrorCode::kDataCorrupt));
  ASSERT_OK(RemoveFile(directory_.path() / kMasterFormer));
  SecondSeal second{"hsm", {}, draft.check, {}, {1}, Bytes(32, 1)};
  ASSERT_OK(ReplaceFile(directory_.path() / kSecondFile, Encode(second)));
  draft.seal = SecondSealId(draft.check);
  draft.check = Bytes(32, 5);
  ASSERT_OK(ReplaceFile(directory_.path() / kMasterDraft, Encode(draft)));
  EXPECT_THAT(Init(), FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_TRUE(IsThere(kMasterDraft));
  ASSERT_OK(RemoveFile(directory_.path() / kMasterDraft));
  ASSERT_OK(MoveFile(directory_.path() / "away", directory_.path() / kMasterFile));
  ASSERT_OK(MoveFile(directory_.path() / "away.db", directory_.path() / kStateFile));
  EXPECT_OK(Open());
}

TEST_F(InitialiseTest, WhatAFormerStoreLeftIsNotPlayedIntoTheNewOne) {
  for (const char* left : {"state.db-wal", "state.db-shm", "state.db-journal"}) {
    ASSERT_OK(ReplaceFile(directory_.path() / left, AsBytes("x")));
    EXPECT_THAT(Init(), FailsWith(ErrorCode::kAlreadyExists)) << left;
    ASSERT_OK(RemoveFile(directory_.path() / left));
  }
  EXPECT_OK(Init());
}

TEST_F(InitialiseTest, ItsLastStepIsTakenByTheNextStart) {
  ASSERT_OK(Init());
  ASSERT_OK(MoveFile(directory_.path() / kStateFile, directory_.path() / kStateDraft));
  MasterRecord draft = *Record();
  draft.record.clear();
  ASSERT_OK(ReplaceFile(directory_.path() / kMasterDraft, Encode(draft)));
  ASSERT_OK(FinishHome(directory_.path(), *Record()));
  EXPECT_OK(Open());
  EXPECT_FALSE(IsThere(kMasterDraft));
  EXPECT_OK(FinishHome(directory_.path(), *Record()));
}

TEST_F(InitialiseTest, TheDraftOfAnotherMasterKeyMovesNoStore) {
  ASSERT_OK(Init());
  MasterRecord other = *Record();
  other.seal = {9};
  ASSERT_OK(ReplaceFile(directory_.path() / kMasterDraft, Encode(other)));
  ASSERT_OK(ReplaceFile(directory_.path() / kStateDraft, AsBytes("of a try that was given up")));
  ASSERT_OK(FinishHome(directory_.path(), *Record()));
  EXPECT_OK(Open());
}

TEST_F(InitialiseTest, AStoreThatIsThereStays) {
  ASSERT_OK(ReplaceFile(directory_.path() / kStateFile, AsBytes("somebody's")));
  EXPECT_FALSE(Init());
  EXPECT_FALSE(Init(true));
  ASSERT_OK_AND_ASSIGN(const std::optional<Bytes> kept,
                       ReadFile(directory_.path() / kStateFile, 100));
  EXPECT_EQ(AsText(*kept), "somebody's");
}

}  // namespace
}  // namespace keyward
