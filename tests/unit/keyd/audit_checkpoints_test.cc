#include "keyd/audit_checkpoints.h"

#include "keyd/audit_events.h"
#include "policy/name_rules.h"
#include "tests/unit/audit/audit_fixture.h"
#include "tests/unit/keyd/key_ring_fixture.h"

namespace keyward {
namespace {

using audit::EventKind;
using testing_support::FailsWith;

class AuditCheckpointsTest : public KeyRingFixture {
 protected:
  static constexpr std::chrono::seconds kInterval{3600};

  void SetUp() override {
    KeyRingFixture::SetUp();
    stored_.MoveAudit(disk_);
    service_key_.emplace(*ring_, "hsm", [this](auto work) { posts_->Post(std::move(work)); });
    checkpoints_.emplace(*service_key_, stored_.journal(), clock_, kInterval);
  }
  Result<void> Sign() {
    const Answer<void> answer;
    checkpoints_->Sign(answer);
    return Await(answer);
  }
  std::vector<audit::Record> Records() const {
    return testing_support::RecordsOf(disk_.Contents());
  }
  size_t Checkpoints() const {
    const std::vector<audit::Record> records = Records();
    return static_cast<size_t>(
        std::ranges::count(records, EventKind::kAuditCheckpoint, &audit::Record::event));
  }
  void Record() {
    ASSERT_OK(stored_.trail().Record(MakeEvent(EventKind::kPolicyReload, kCaller, "")));
  }
  void TickAndWait() {
    checkpoints_->Tick();
    FinishTasks();
  }

  testing_support::FaultyDisk disk_;  // of the audit log
  std::optional<ServiceKey> service_key_;
  std::optional<AuditCheckpoints> checkpoints_;
};

TEST_F(AuditCheckpointsTest, ASignatureVerifiesWithTheServiceKeysPublicHalf) {
  Record();
  ASSERT_OK(Sign());
  const PublicKey key = ring_->Find(policy::kServiceKeyName)->active->Get().value()->public_key();
  const audit::Report report =
      testing_support::VerifyText(disk_.Contents(), {.keys = {key}, .head = {}});
  EXPECT_THAT(report, testing_support::IsValid());
  EXPECT_EQ(report.verified, 1U);
  EXPECT_EQ(Records().back().checkpoint->through.seq, stored_.trail().log()->signed_through());
}

TEST_F(AuditCheckpointsTest, WhatIsSignedIsNotSignedAgain) {
  ASSERT_OK(Sign());  // the key was made by it, and is told
  ASSERT_OK(Sign());
  EXPECT_FALSE(checkpoints_->HasUnsigned());
  ASSERT_OK(Sign());
  EXPECT_EQ(Checkpoints(), 2U);
}

TEST_F(AuditCheckpointsTest, ItIsSignedWhenItIsTimeTo) {
  ASSERT_OK(Sign());
  ASSERT_OK(Sign());
  Record();
  TickAndWait();
  EXPECT_EQ(Checkpoints(), 2U);
  clock_.Advance(kInterval);
  TickAndWait();
  EXPECT_EQ(Checkpoints(), 3U);
  clock_.Advance(kInterval);
  TickAndWait();  // nothing is new
  EXPECT_EQ(Checkpoints(), 3U);
}

TEST_F(AuditCheckpointsTest, ItIsSignedWhenMuchIsUnsigned) {
  ASSERT_OK(Sign());
  for (int i = 0; i < 1000; ++i) Record();
  TickAndWait();
  EXPECT_EQ(Checkpoints(), 2U);
}

TEST_F(AuditCheckpointsTest, ManyRecordsWaitForNoMinuteAfterTheLastSignature) {
  ASSERT_OK(Sign());
  for (size_t checkpoints = 2; checkpoints < 4; ++checkpoints) {
    for (int i = 0; i < 1000; ++i) Record();
    TickAndWait();
    EXPECT_EQ(Checkpoints(), checkpoints);
  }
}

TEST_F(AuditCheckpointsTest, HardwareThatIsAwayIsAskedAgainAMinuteLater) {
  ASSERT_OK(Sign());
  Record();
  clock_.Advance(kInterval);
  hardware_.SetAvailable(false);
  TickAndWait();
  EXPECT_THAT(Sign(), FailsWith(ErrorCode::kCustodianUnavailable));
  hardware_.SetAvailable(true);
  TickAndWait();
  EXPECT_EQ(Checkpoints(), 1U);
  clock_.Advance(std::chrono::minutes(1));
  TickAndWait();
  EXPECT_EQ(Checkpoints(), 2U);
}

TEST_F(AuditCheckpointsTest, WhereThereIsNoTailTheStoreKnowsOfARemoval) {
  stored_.trail().Close();
  ASSERT_OK(
      stored_.trail().Open(disk_.Open(), {.limits = {.segment_bytes = 1000, .total_bytes = 3000},
                                          .expected_head = {},
                                          .signers = {}}));
  const auto retentions = [this] {
    return std::ranges::count(Records(), EventKind::kAuditRetention, &audit::Record::event);
  };
  for (int i = 0; i < 10 && retentions() == 0; ++i) {
    for (int j = 0; j < 4; ++j) Record();
    ASSERT_OK(Sign());
  }
  ASSERT_EQ(Records().back().event, EventKind::kAuditRetention);
  EXPECT_EQ(stored_.Load().audit_head, stored_.trail().log()->head());
}

TEST_F(AuditCheckpointsTest, TwoSignaturesAtATimeAreOneTooMany) {
  ASSERT_OK(Sign());
  Record();
  const Answer<void> first;
  checkpoints_->Sign(first);
  const Answer<void> second;
  checkpoints_->Sign(second);
  EXPECT_THAT(Await(second), FailsWith(ErrorCode::kBusy));
  EXPECT_OK(Await(first));
}

TEST_F(AuditCheckpointsTest, ASignatureThatComesAfterTheSealIsDropped) {
  ASSERT_OK(Sign());
  Record();
  const Answer<void> answer;
  checkpoints_->Sign(answer);
  checkpoints_.reset();
  EXPECT_THAT(Await(answer), FailsWith(ErrorCode::kSealed));
  EXPECT_EQ(Checkpoints(), 1U);
}

}  // namespace
}  // namespace keyward
