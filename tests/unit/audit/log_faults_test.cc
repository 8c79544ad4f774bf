// After any failure at any operation, and after a crash there, the log holds every event that was
// acknowledged and at most one that was not.
#include "tests/unit/audit/audit_fixture.h"

namespace keyward::audit {
namespace {

using testing_support::AuditTest;
using testing_support::FaultyDisk;
using testing_support::IsValid;
using testing_support::SomeEvent;
using Fault = FaultyDisk::Fault;

class LogFaultsTest : public AuditTest {
 protected:
  void SetUp() override {
    limits_.segment_bytes = 700;
    limits_.total_bytes = 2500;
    limits_.reserve_bytes = 10'000;
  }

  // Events, checkpoints and retention, until something fails that does not fail again.
  void Work() {
    Result<Log> log = Open();
    if (!log) log = Open();  // a failure that passes
    if (!log) return;
    for (int i = 0; i < 12; ++i) {
      const std::string name = "event " + std::to_string(i);
      const bool reserved = i % 3 == 0;
      if (reserved ? log->AppendReserved(SomeEvent(name)) : log->Append(SomeEvent(name))) {
        acknowledged_.push_back(name);
      } else {
        refused_.push_back(name);
      }
      if (i % 4 != 3) continue;
      if (Sign(*log) && !Retain(*log)) ++failed_retentions_;
    }
    head_ = log->head();
  }

  // Whether the acknowledged events that are on disk are the newest of them in their order: what
  // retention removed is gone. `unacknowledged` others may be there.
  void ExpectAcknowledged(size_t unacknowledged) {
    size_t others = 0;
    std::vector<std::string> found;
    for (const std::string& object : ObjectsOnDisk()) {
      if (std::ranges::find(refused_, object) != refused_.end()) {
        ++others;
      } else {
        found.push_back(object);
      }
    }
    EXPECT_LE(others, unacknowledged);
    const size_t first_kept = acknowledged_.size() - std::min(acknowledged_.size(), found.size());
    EXPECT_TRUE(first_kept == 0 || CountOnDisk(EventKind::kAuditRetention) > 0);
    EXPECT_EQ(found,
              std::vector<std::string>(acknowledged_.begin() + static_cast<ptrdiff_t>(first_kept),
                                       acknowledged_.end()));
  }

  std::vector<std::string> acknowledged_;
  std::vector<std::string> refused_;
  size_t failed_retentions_ = 0;
  Head head_{};
};

class AnyFaultTest : public LogFaultsTest, public ::testing::WithParamInterface<Fault> {};

TEST_P(AnyFaultTest, AFailedEventIsNotThereAndTheChainGoesOn) {
  Work();
  const size_t operations = disk_.operations();
  ASSERT_TRUE(refused_.empty());
  ASSERT_GT(CountOnDisk(EventKind::kAuditRetention), 0);
  for (size_t at = 0; at < operations; ++at) {
    SCOPED_TRACE(at);
    disk_ = {};
    acknowledged_.clear();
    refused_.clear();
    failed_retentions_ = 0;
    disk_.FailAfter(at, GetParam());
    Work();
    EXPECT_FALSE(disk_.fault_is_pending());
    EXPECT_LE(refused_.size() + failed_retentions_, 1);
    EXPECT_THAT(VerifyChain(disk_.Contents(), head_), IsValid());
    ExpectAcknowledged(0);
    ASSERT_OK(Open(head_));
  }
}

INSTANTIATE_TEST_SUITE_P(Faults, AnyFaultTest,
                         ::testing::Values(Fault::kIo, Fault::kNoSpace, Fault::kHalfWrite));

class PowerCutTest : public LogFaultsTest, public ::testing::WithParamInterface<size_t> {};

TEST_P(PowerCutTest, LosesNoEventThatWasAcknowledged) {
  Work();
  const size_t operations = disk_.operations();
  for (size_t at = 0; at < operations; ++at) {
    SCOPED_TRACE(at);
    disk_ = {};
    acknowledged_.clear();
    refused_.clear();
    failed_retentions_ = 0;
    disk_.FailAfter(at, Fault::kPowerCut);
    Work();
    disk_.Restart(GetParam());
    ASSERT_OK_AND_ASSIGN(Log log, Open());
    ASSERT_OK(log.Append(SomeEvent("after")));
    acknowledged_.emplace_back("after");
    EXPECT_THAT(VerifyChain(disk_.Contents(), log.head()), IsValid());
    ExpectAcknowledged(1);
  }
}

// None, some, and all of what was written last without a sync.
INSTANTIATE_TEST_SUITE_P(Kept, PowerCutTest, ::testing::Values(0, 1, 100, kMaxLine));

TEST_F(LogFaultsTest, ALineThatCannotBeCutOffAtOnceIsCutOffBeforeTheNext) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  disk_.FailAfter(1, Fault::kPowerCut);  // the write goes through, the sync does not
  EXPECT_FALSE(log.Append(SomeEvent("lost")));
  EXPECT_FALSE(log.Append(SomeEvent("lost too")));
  disk_.Restart(kMaxLine);
  EXPECT_THAT(ObjectsOnDisk(), ::testing::ElementsAre("lost"));
  ASSERT_OK(log.Append(SomeEvent("kept")));
  EXPECT_THAT(ObjectsOnDisk(), ::testing::ElementsAre("kept"));
  EXPECT_THAT(VerifyChain(disk_.Contents(), log.head()), IsValid());
}

TEST_F(LogFaultsTest, WhatIsRecordedTogetherTakesOneSyncAndIsThereWholeOrNotAtAll) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  const std::vector<Event> ends{SomeEvent("1"), SomeEvent("2"), SomeEvent("3")};
  size_t told = 0;
  log.OnLine([&told](std::string_view) { ++told; });
  const size_t operations = disk_.operations();
  ASSERT_OK(log.AppendReserved(ends));
  EXPECT_EQ(disk_.operations() - operations, 2U);
  const Head head = log.head();
  for (const size_t at : {size_t{0}, size_t{1}}) {  // the write, the sync
    disk_.FailAfter(at, Fault::kIo);
    EXPECT_THAT(log.AppendReserved(ends), testing_support::FailsWith(ErrorCode::kIo));
  }
  EXPECT_EQ(log.head(), head);
  EXPECT_EQ(told, ends.size());
  EXPECT_THAT(ObjectsOnDisk(), ::testing::ElementsAre("1", "2", "3"));
  EXPECT_THAT(VerifyChain(disk_.Contents(), log.head()), IsValid());
}

}  // namespace
}  // namespace keyward::audit
