#include "tests/unit/audit/audit_fixture.h"

namespace keyward::audit {
namespace {

using testing_support::AuditTest;
using testing_support::FailsWith;
using testing_support::FaultyDisk;
using testing_support::HasFault;
using testing_support::IsOkAndHolds;
using testing_support::IsValid;
using testing_support::RecordsOf;
using testing_support::SomeEvent;

class RetentionTest : public AuditTest {
 protected:
  void SetUp() override {
    limits_.segment_bytes = 1000;
    limits_.total_bytes = 4000;
  }

  // `count` segments, each of a checkpoint and some events.
  void Fill(Log& log, int count) {
    for (int i = 0; i < count; ++i) {
      for (int j = 0; j < 4; ++j) ASSERT_OK(log.Append(SomeEvent("a")));
      ASSERT_OK(Sign(log));
    }
  }
};

TEST_F(RetentionTest, RemovesWholeOldSegmentsAndTheRestVerifies) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  Fill(log, 6);
  const size_t before = disk_.segments();
  ASSERT_OK_AND_ASSIGN(const size_t removed, Retain(log));
  EXPECT_GT(removed, 0);
  EXPECT_EQ(disk_.segments(), before - removed);
  const Report report = Verify(disk_.Contents(), log.head());
  EXPECT_THAT(report, IsValid());
  EXPECT_GT(report.first_seq, 1);
  const std::vector<Record> records = RecordsOf(disk_.Contents());
  EXPECT_TRUE(records.front().checkpoint);
  EXPECT_EQ(records.back().event, EventKind::kAuditRetention);
  EXPECT_EQ(records.back().Number("first_kept"), report.first_seq);
  EXPECT_EQ(records.back().Number("removed"), report.first_seq - 1);
  EXPECT_THAT(Retain(log), IsOkAndHolds(0));
}

TEST_F(RetentionTest, TheLogGoesOnAfterARestart) {
  {
    ASSERT_OK_AND_ASSIGN(Log log, Open());
    Fill(log, 6);
    ASSERT_OK(Retain(log));
  }
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  Fill(log, 6);
  ASSERT_OK(Retain(log));
  EXPECT_THAT(Verify(disk_.Contents(), log.head()), IsValid());
}

TEST_F(RetentionTest, WithoutACheckpointNothingGoes) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  for (int i = 0; i < 60; ++i) ASSERT_OK(log.Append(SomeEvent("a")));
  ASSERT_GT(disk_.segments(), 4);
  EXPECT_THAT(Retain(log), IsOkAndHolds(0));
}

TEST_F(RetentionTest, WhatIsOldGoesAlsoFromASmallLog) {
  limits_.total_bytes = 1'000'000;
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  Fill(log, 3);
  clock_.Advance(limits_.max_age - std::chrono::hours(1));
  EXPECT_THAT(Retain(log), IsOkAndHolds(0));
  Fill(log, 1);
  clock_.Advance(std::chrono::hours(2));
  ASSERT_OK_AND_ASSIGN(const size_t removed, Retain(log));
  EXPECT_GT(removed, 0);
  EXPECT_THAT(Verify(disk_.Contents(), log.head()), IsValid());
}

TEST_F(RetentionTest, AClockThatIsAheadForAWhileMakesNothingOld) {
  limits_.total_bytes = 1'000'000;
  const std::chrono::hours ahead(24 * 420);
  std::optional<Log> log = Open().value();
  Fill(*log, 3);
  clock_.Advance(Log::kClockProof);
  clock_.SetBack(-ahead);  // while it is open
  EXPECT_THAT(Retain(*log), IsOkAndHolds(0));
  clock_.Advance(Log::kClockProof - std::chrono::hours(1));
  EXPECT_THAT(Retain(*log), IsOkAndHolds(0));
  log.emplace(Open().value());  // at a start
  Fill(*log, 1);
  clock_.Advance(Log::kClockProof - std::chrono::hours(1));
  EXPECT_THAT(Retain(*log), IsOkAndHolds(0));
  clock_.Advance(std::chrono::hours(1));
  const auto keep = [] { return Result<void>(); };
  ASSERT_OK_AND_ASSIGN(const Log::Removal removal, log->Retain(keep));
  EXPECT_GT(removal.segments, 0);
  EXPECT_TRUE(removal.for_age);
  EXPECT_EQ(removal.first_kept, log->Segments().front().first);
}

TEST_F(RetentionTest, ARemovalThatACrashCutShortIsFinishedAtTheNextStart) {
  size_t segments = 0;
  {
    ASSERT_OK_AND_ASSIGN(Log log, Open());
    Fill(log, 10);
    segments = disk_.segments();
    disk_.FailAfter(3, FaultyDisk::Fault::kPowerCut);  // after the record and one removal
    EXPECT_FALSE(Retain(log));
  }
  disk_.Restart(0);
  EXPECT_EQ(disk_.segments(), segments - 1);
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  EXPECT_LT(disk_.segments(), segments - 1);
  EXPECT_EQ(CountOnDisk(EventKind::kAuditRetention), 1);
  EXPECT_THAT(Verify(disk_.Contents(), log.head()), IsValid());
}

TEST_F(RetentionTest, TheEndIsKnownElsewhereBeforeAnythingGoes) {
  std::optional<Log> log = Open().value();
  Fill(*log, 6);
  const size_t segments = disk_.segments();
  const auto fails = [] { return Result<void>(Fail(ErrorCode::kIo, "the store's disk")); };
  EXPECT_THAT(log->Retain(fails), FailsWith(ErrorCode::kIo));
  EXPECT_EQ(disk_.segments(), segments);
  std::optional<Head> kept;
  const auto keep = [&] {
    EXPECT_EQ(disk_.segments(), segments);
    kept = log->head();
    disk_.FailAfter(0, FaultyDisk::Fault::kPowerCut);
    return Result<void>();
  };
  EXPECT_FALSE(log->Retain(keep));
  EXPECT_EQ(CountOnDisk(EventKind::kAuditRetention), 1);
  log.reset();
  disk_.Restart(0);
  ASSERT_OK(Open(kept));  // and finishes it
  EXPECT_LT(disk_.segments(), segments);
}

TEST_F(RetentionTest, ARetentionThatSomebodyElseAddedRemovesNothing) {
  std::optional<Log> log = Open().value();
  Fill(*log, 6);
  const Head head = log->head();
  const uint64_t first_kept = log->Segments().back().first;
  log.reset();
  const std::string before = disk_.Contents();
  Plant(EventKind::kAuditRetention, {{"first_kept", first_kept}, {"removed", first_kept - 1}});
  log.emplace(Open(head).value());
  EXPECT_TRUE(disk_.Contents().starts_with(before));
  EXPECT_EQ(CountOnDisk(EventKind::kAuditRetention), 0);
  EXPECT_EQ(CountOnDisk(EventKind::kAuditRepair), 1);
  EXPECT_THAT(Verify(disk_.Contents(), log->head()), IsValid());
}

TEST_F(RetentionTest, ARetentionThatIsFollowedByWhatNobodyVouchesForIsRefused) {
  std::optional<Log> log = Open().value();
  Fill(*log, 6);
  const Head head = log->head();
  const uint64_t first_kept = log->Segments().back().first;
  log.reset();
  const size_t segments = disk_.segments();
  Plant(EventKind::kAuditRetention, {{"first_kept", first_kept}, {"removed", first_kept - 1}});
  Plant(EventKind::kPolicyReload, {});
  EXPECT_THAT(Open(head), FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_EQ(disk_.segments(), segments);
}

TEST_F(RetentionTest, ABeginningThatSomebodyElseRemovedIsAFault) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  Fill(log, 6);
  ASSERT_OK(disk_.Open()->Remove(1));
  EXPECT_THAT(Verify(disk_.Contents()), HasFault(FaultKind::kBeginningRemoved, 1));
}

}  // namespace
}  // namespace keyward::audit
