// What becomes of versions that were announced and never recorded.
#include "tests/unit/keyd/key_ring_fixture.h"

namespace keyward {
namespace {

using ::testing::SizeIs;
using testing_support::FailsWith;

class KeyRingSweepTest : public KeyRingFixture {
 protected:
  // As after a crash: the hardware has the key, the store only its announcement.
  void LeavePending(const KeyRecord& key, uint32_t number, const KeyId& id) {
    VersionRecord version{};
    version.key = key.name;
    version.number = number;
    version.id = id;
    version.state = VersionState::kPending;
    ASSERT_OK(
        stored_.Commit([&](StoreWriter& store) { return store.AnnounceVersion(key, version); }));
    stored_.Sync();
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Custodian> custodian, hardware_.Make());
    ASSERT_OK(custodian->signer().GenerateKey(key.algorithm, id));
  }
  bool AwaitSweep() {
    return RunUntil([this] { return NothingIsPending(); });
  }
  void LoseTheAnswerOfAGeneration() {
    hooks_.generated = [] { return Fail(ErrorCode::kIo, "the answer was lost"); };
  }
};

TEST_F(KeyRingSweepTest, AGenerationThatFailsLeavesNothing) {
  LoseTheAnswerOfAGeneration();
  EXPECT_THAT(Generate(Hardware("web")), FailsWith(ErrorCode::kIo));
  ASSERT_TRUE(AwaitSweep());
  EXPECT_EQ(hardware_.KeyCount(), 0U);
  EXPECT_THAT(Stored().keys, SizeIs(0));
  EXPECT_EQ(ring_->Find("web"), nullptr);
}

TEST_F(KeyRingSweepTest, ARotationThatFailsLeavesTheKeyAsItWas) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr first, Generate(Hardware("web")));
  LoseTheAnswerOfAGeneration();
  EXPECT_THAT(Rotate("web"), FailsWith(ErrorCode::kIo));
  ASSERT_TRUE(AwaitSweep());
  EXPECT_EQ(hardware_.KeyCount(), 1U);
  EXPECT_EQ(ring_->Find("web")->active->Get().value(), first);
  EXPECT_OK(SignAndVerify(first));
}

TEST_F(KeyRingSweepTest, WithoutHardwareTheAnnouncementWaitsForItsReturn) {
  hardware_.SetAvailable(false);
  EXPECT_THAT(Generate(Hardware("web")), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(Stored().versions, SizeIs(1));
  EXPECT_FALSE(NothingIsPending());
  hardware_.SetAvailable(true);
  ASSERT_TRUE(RunUntil([this] {
    ring_->SweepPending(pool());  // as after each health check
    return NothingIsPending();
  }));
  EXPECT_THAT(Stored().keys, SizeIs(0));
}

TEST_F(KeyRingSweepTest, ANameIsFreeAgainOnceWhatRemainsOfItIsSwept) {
  hardware_.SetAvailable(false);
  EXPECT_THAT(Generate(Hardware("web")), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(Generate(Sealed("web")), FailsWith(ErrorCode::kBusy));
  Restart();
  EXPECT_THAT(Generate(Sealed("web")), FailsWith(ErrorCode::kBusy));
  hardware_.SetAvailable(true);
  ring_->SweepPending(pool());
  ASSERT_TRUE(AwaitSweep());
  ASSERT_OK(Generate(Sealed("web")));
  Restart();
  EXPECT_EQ(ring_->Find("web")->record.custody, Custody::kSealed);
}

TEST_F(KeyRingSweepTest, WhatACrashLeftIsSweptAndNothingElse) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr kept, Generate(Hardware("kept")));
  LeavePending(Hardware("lost"), 1, {1});
  LeavePending(Hardware("kept"), 2, {2});
  Restart();
  EXPECT_EQ(ring_->Find("lost"), nullptr);
  EXPECT_THAT(ring_->Find("kept")->versions, SizeIs(1));
  ring_->SweepPending(pool());
  ASSERT_TRUE(AwaitSweep());
  EXPECT_EQ(hardware_.KeyCount(), 1U);
  EXPECT_THAT(Stored().keys, SizeIs(1));
  EXPECT_OK(SignAndVerify(ring_->Find("kept")->versions[0]));
}

TEST_F(KeyRingSweepTest, DestroyingAKeyTakesItsUnrecordedVersionsAlong) {
  ASSERT_OK(Generate(Hardware("web")));
  LeavePending(Hardware("web"), 2, {2});
  Restart();
  ASSERT_OK(Destroy("web"));
  EXPECT_EQ(hardware_.KeyCount(), 0U);
  ASSERT_THAT(Stored().versions, SizeIs(1));
  EXPECT_EQ(Stored().versions[0].state, VersionState::kDestroyed);
}

}  // namespace
}  // namespace keyward
