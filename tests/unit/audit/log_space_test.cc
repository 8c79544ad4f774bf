// A full disk: new things are refused, running ones can still end.
#include "tests/unit/audit/audit_fixture.h"

namespace keyward::audit {
namespace {

using ::testing::Contains;
using ::testing::Not;
using testing_support::AuditTest;
using testing_support::FailsWith;
using testing_support::IsValid;
using testing_support::SomeEvent;

class LogSpaceTest : public AuditTest {
 protected:
  static constexpr uint64_t kMuch = uint64_t{1} << 30;

  void SetUp() override { limits_.reserve_bytes = 20'000; }

  // Appends until the log refuses, and returns how often it did not.
  static size_t FillUp(Log& log) {
    for (size_t count = 0; count < 10'000; ++count) {
      const Result<void> appended = log.Append(SomeEvent("a"));
      if (appended) continue;
      EXPECT_THAT(appended, FailsWith(ErrorCode::kResourceExhausted));
      return count;
    }
    ADD_FAILURE() << "the log never refused";
    return 0;
  }
};

TEST_F(LogSpaceTest, RefusesEventsOnceNothingButTheReserveIsLeft) {
  disk_.SetCapacity(60'000);
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  EXPECT_GT(FillUp(log), 50);
  EXPECT_THAT(log.Append(SomeEvent("b")), FailsWith(ErrorCode::kResourceExhausted));
  EXPECT_EQ(CountOnDisk(EventKind::kAuditFull), 1);
  EXPECT_THAT(ObjectsOnDisk(), Not(Contains("b")));
  EXPECT_THAT(VerifyChain(disk_.Contents(), log.head()), IsValid());
}

TEST_F(LogSpaceTest, EndsOfSessionsUseTheReserveUntilItIsGone) {
  disk_.SetCapacity(60'000);
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  FillUp(log);
  const size_t before = disk_.Contents().size();
  while (log.AppendReserved(SomeEvent("end"))) {
  }
  EXPECT_GT(disk_.Contents().size() - before, limits_.reserve_bytes - kMaxLine);
  EXPECT_THAT(log.AppendReserved(SomeEvent("end")), FailsWith(ErrorCode::kResourceExhausted));
  EXPECT_THAT(VerifyChain(disk_.Contents(), log.head()), IsValid());
}

TEST_F(LogSpaceTest, TheReserveFillsUpAgainOnceThereIsSpace) {
  disk_.SetCapacity(60'000);
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  FillUp(log);
  ASSERT_OK(log.AppendReserved(SomeEvent("end")));
  disk_.SetCapacity(kMuch);
  ASSERT_OK(log.Append(SomeEvent("b")));
  EXPECT_EQ(CountOnDisk(EventKind::kAuditSpace), 1);
  const uint64_t aside = disk_.Used() - disk_.Contents().size();
  EXPECT_GE(aside, limits_.reserve_bytes);
  disk_.SetCapacity(disk_.Used());
  FillUp(log);
  EXPECT_EQ(CountOnDisk(EventKind::kAuditFull), 2);
  EXPECT_THAT(VerifyChain(disk_.Contents(), log.head()), IsValid());
}

TEST_F(LogSpaceTest, TheReserveIsStillThereAfterARestart) {
  disk_.SetCapacity(60'000);
  {
    ASSERT_OK_AND_ASSIGN(Log log, Open());
    FillUp(log);
    ASSERT_OK(log.AppendReserved(SomeEvent("end")));
  }
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  EXPECT_THAT(log.Append(SomeEvent("b")), FailsWith(ErrorCode::kResourceExhausted));
  EXPECT_OK(log.AppendReserved(SomeEvent("end too")));
}

TEST_F(LogSpaceTest, WhereThereIsNoSpaceForANewSegmentTheOldGoesOn) {
  limits_.segment_bytes = 1000;
  disk_.SetCapacity(limits_.reserve_bytes + 100'000);
  limits_.reserve_bytes = 60'000;
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  for (int i = 0; i < 20; ++i) ASSERT_OK(log.Append(SomeEvent("a")));
  EXPECT_EQ(disk_.segments(), 1);
  disk_.SetCapacity(kMuch);
  ASSERT_OK(log.Append(SomeEvent("b")));
  EXPECT_EQ(disk_.segments(), 2);
  EXPECT_THAT(VerifyChain(disk_.Contents(), log.head()), IsValid());
}

TEST_F(LogSpaceTest, AFinishedSegmentGivesBackWhatWasSetAside) {
  limits_.segment_bytes = 1000;
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  for (int i = 0; i < 40; ++i) ASSERT_OK(log.Append(SomeEvent("a")));
  ASSERT_GT(disk_.segments(), 3);
  EXPECT_LT(disk_.Used(), disk_.Contents().size() + limits_.reserve_bytes + 100'000);
}

TEST_F(LogSpaceTest, AFullDiskBeginsNoLog) {
  disk_.SetCapacity(100);
  EXPECT_THAT(Open(), FailsWith(ErrorCode::kResourceExhausted));
  disk_.SetCapacity(kMuch);
  EXPECT_OK(Open());
}

}  // namespace
}  // namespace keyward::audit
