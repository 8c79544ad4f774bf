#include "audit/log.h"

#include "tests/unit/audit/audit_fixture.h"

namespace keyward::audit {
namespace {

using ::testing::ElementsAre;
using testing_support::AuditTest;
using testing_support::FailsWith;
using testing_support::IsValid;
using testing_support::LinesOf;
using testing_support::RecordsOf;
using testing_support::SomeEvent;

class LogTest : public AuditTest {};

TEST_F(LogTest, BeginsWithARecordOfItself) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  ASSERT_OK(log.Append(SomeEvent("a")));
  const std::vector<Record> records = RecordsOf(disk_.Contents());
  ASSERT_EQ(records.size(), 2);
  EXPECT_EQ(records[0].event, EventKind::kAuditBegin);
  EXPECT_EQ(records[0].prev, Genesis(log.id()));
  EXPECT_EQ(records[1].module, "frontend");
  EXPECT_EQ(records[1].Number("version"), 2);
  EXPECT_EQ(log.head(), (Head{2, HashOf(LinesOf(disk_.Contents())[1])}));
}

TEST_F(LogTest, TheChainGoesOnAfterARestart) {
  LogId id;
  {
    ASSERT_OK_AND_ASSIGN(Log log, Open());
    ASSERT_OK(log.Append(SomeEvent("a")));
    ASSERT_OK(Sign(log));
    id = log.id();
  }
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  EXPECT_EQ(log.id(), id);
  EXPECT_EQ(log.head().seq, 3);
  EXPECT_EQ(log.CheckpointMessage(), std::nullopt);
  ASSERT_OK(log.Append(SomeEvent("b")));
  EXPECT_THAT(Verify(disk_.Contents(), log.head()), IsValid());
  EXPECT_THAT(ObjectsOnDisk(), ElementsAre("a", "b"));
}

TEST_F(LogTest, OnlyTheLogTellsOfItself) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  Event event = SomeEvent("a");
  event.kind = EventKind::kAuditRetention;
  EXPECT_THAT(log.Append(event), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_EQ(log.head().seq, 1);
}

TEST_F(LogTest, AnIncompleteLastLineIsCutOffAndRecorded) {
  {
    ASSERT_OK_AND_ASSIGN(Log log, Open());
    ASSERT_OK(log.Append(SomeEvent("a")));
  }
  disk_.Segment(1) += R"({"seq":3,"ti)";
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  const std::vector<Record> records = RecordsOf(disk_.Contents());
  EXPECT_EQ(records.back().event, EventKind::kAuditRepair);
  EXPECT_EQ(records.back().Number("bytes"), 12);
  EXPECT_THAT(VerifyChain(disk_.Contents(), log.head()), IsValid());
}

TEST_F(LogTest, ASegmentWithoutAWholeRecordIsNone) {
  for (const std::string_view left : {"", R"({"seq":)"}) {
    disk_ = {};
    {
      ASSERT_OK_AND_ASSIGN(Log log, Open());
      ASSERT_OK(log.Append(SomeEvent("a")));
    }
    ASSERT_OK(disk_.Open()->Create(3));
    disk_.Segment(3) = left;
    ASSERT_OK_AND_ASSIGN(Log log, Open());
    EXPECT_EQ(CountOnDisk(EventKind::kAuditRepair), left.empty() ? 0 : 1);
    ASSERT_OK(log.Append(SomeEvent("b")));
    EXPECT_EQ(disk_.segments(), 1);
    EXPECT_THAT(VerifyChain(disk_.Contents(), log.head()), IsValid());
  }
}

TEST_F(LogTest, ATailThatNoCrashLeavesIsCorrupt) {
  {
    ASSERT_OK(Open());
  }
  disk_.Segment(1) += std::string(kMaxLine, 'x');
  EXPECT_THAT(Open(), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(LogTest, AnAlteredRecordOfTheNewestSegmentIsCorrupt) {
  {
    ASSERT_OK_AND_ASSIGN(Log log, Open());
    ASSERT_OK(log.Append(SomeEvent("alice")));
    ASSERT_OK(log.Append(SomeEvent("b")));
  }
  std::string& text = disk_.Segment(1);
  text.replace(text.find("alice"), 5, "mallo");
  EXPECT_THAT(Open(), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(LogTest, AKnownHeadIsInTheLogAlsoFurtherBack) {
  limits_.segment_bytes = 400;
  std::vector<Head> heads;
  {
    ASSERT_OK_AND_ASSIGN(Log log, Open());
    heads.push_back(log.head());
    for (int i = 0; i < 20; ++i) {
      ASSERT_OK(log.Append(SomeEvent(std::to_string(i))));
      heads.push_back(log.head());
    }
  }
  ASSERT_GT(disk_.segments(), 4);
  for (const Head& head : heads) EXPECT_OK(Open(head)) << head.seq;
}

TEST_F(LogTest, ATailThatWasCutOffIsARollback) {
  Head head;
  {
    ASSERT_OK_AND_ASSIGN(Log log, Open());
    ASSERT_OK(log.Append(SomeEvent("a")));
    ASSERT_OK(log.Append(SomeEvent("b")));
    head = log.head();
  }
  std::string& text = disk_.Segment(1);
  const std::string whole = text;
  text.resize(text.find('\n', text.find('\n') + 1) + 1);
  EXPECT_THAT(Open(head), FailsWith(ErrorCode::kRolledBack));
  EXPECT_OK(Open());
  text = whole;
  text.replace(text.find("\"b\""), 3, "\"c\"");  // the last record, so that the chain holds
  EXPECT_THAT(Open(head), FailsWith(ErrorCode::kRolledBack));
  disk_ = {};
  EXPECT_THAT(Open(head), FailsWith(ErrorCode::kRolledBack));
  EXPECT_EQ(disk_.segments(), 0);
}

TEST_F(LogTest, ACheckpointAfterTheKnownHeadIsBelievedIfItIsOurs) {
  std::optional<Log> log = Open().value();
  ASSERT_OK(log->Append(SomeEvent("a")));
  const Head head = log->head();
  ASSERT_OK(log->Append(SomeEvent("b")));
  const Head through = log->head();
  ASSERT_OK(Sign(*log));
  const LogId id = log->id();
  log.reset();
  log.emplace(Open(head).value());
  EXPECT_EQ(log->signed_through(), through.seq);
  log.reset();
  Checkpoint forged = *RecordsOf(disk_.Contents()).back().checkpoint;
  const std::string whole = disk_.Contents();
  const auto refused = [&](const Checkpoint& checkpoint) {
    disk_.Segment(1) = whole;
    Plant(EventKind::kAuditCheckpoint, {}, checkpoint);
    EXPECT_THAT(Open(head), FailsWith(ErrorCode::kDataCorrupt));
  };
  forged.signature[0] ^= 1;
  refused(forged);
  const testing_support::TestSigner stranger;
  refused({.log = id,
           .through = through,
           .key = stranger.key().Fingerprint(),
           .signature = stranger.Sign(CheckpointStatement(id, through))});
  // Signed by the key, but of another log.
  const Head other{through.seq, {}};
  refused({.log = id,
           .through = other,
           .key = signer_.key().Fingerprint(),
           .signature = signer_.Sign(CheckpointStatement(id, other))});
}

TEST_F(LogTest, ItsEndIsKnownBesidesAnEarlierHead) {
  std::optional<Log> log = Open().value();
  ASSERT_OK(log->Append(SomeEvent("a")));
  const Head head = log->head();
  ASSERT_OK(log->Append(SomeEvent("b")));
  const End end{log->id(), log->head()};
  log.reset();
  const auto open = [&](const Head& known, const End& reached) {
    return Log::Open(
        disk_.Open(), clock_, rng_,
        {.limits = limits_, .expected_head = known, .expected_end = reached, .signers = {}});
  };
  EXPECT_OK(open(head, end));
  Head other = head;
  other.hash[0] ^= 1;
  EXPECT_THAT(open(other, end), FailsWith(ErrorCode::kRolledBack));
  EXPECT_THAT(open(head, {end.log, {end.head.seq, other.hash}}), FailsWith(ErrorCode::kRolledBack));
  EXPECT_THAT(open(head, {end.log, {end.head.seq + 1, end.head.hash}}),
              FailsWith(ErrorCode::kRolledBack));
  EXPECT_THAT(open(head, {{}, end.head}), FailsWith(ErrorCode::kRolledBack));
  // No further than the head that is known: it may be removed by now.
  EXPECT_OK(open(end.head, {end.log, other}));
}

TEST_F(LogTest, ItsHeadIsToldOnceForWhatIsWrittenTogether) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  std::vector<uint64_t> told;
  log.OnHead([&told](const Head& head) { told.push_back(head.seq); });
  const uint64_t before = log.head().seq;
  ASSERT_OK(log.AppendReserved(std::vector{SomeEvent("a"), SomeEvent("b")}));
  EXPECT_THAT(told, ElementsAre(before + 2));
  disk_.FailAfter(0, testing_support::FaultyDisk::Fault::kIo);
  EXPECT_FALSE(log.Append(SomeEvent("c")));
  EXPECT_EQ(told.size(), 1U);
}

TEST_F(LogTest, AClockThatStepsBackIsMarkedNotRefused) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  clock_.Advance(std::chrono::hours(-5));
  ASSERT_OK(log.Append(SomeEvent("a")));
  ASSERT_OK(log.Append(SomeEvent("b")));
  clock_.Advance(std::chrono::hours(1));
  ASSERT_OK(log.Append(SomeEvent("c")));
  const std::vector<Record> records = RecordsOf(disk_.Contents());
  EXPECT_TRUE(records[1].stepped_back);
  EXPECT_FALSE(records[2].stepped_back);
  EXPECT_FALSE(records[3].stepped_back);
  EXPECT_THAT(VerifyChain(disk_.Contents(), log.head()), IsValid());
}

TEST_F(LogTest, ACheckpointAnswersForWhatWasThereWhenItWasAskedFor) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  ASSERT_OK(log.Append(SomeEvent("a")));
  const std::optional<Bytes> message = log.CheckpointMessage();
  ASSERT_TRUE(message);
  ASSERT_OK(log.Append(SomeEvent("b")));
  ASSERT_OK(log.AddCheckpoint(signer_.Sign(*message), signer_.key()));
  const Report report = Verify(disk_.Contents());
  EXPECT_THAT(report, IsValid());
  EXPECT_EQ(report.signed_through, 2);
  EXPECT_EQ(report.last.seq, 4);
  EXPECT_NE(log.CheckpointMessage(), std::nullopt);  // b is not signed yet
}

TEST_F(LogTest, ASignatureThatDoesNotVerifyIsNotRecorded) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  EXPECT_THAT(log.AddCheckpoint(Bytes(64), signer_.key()), FailsWith(ErrorCode::kWrongState));
  ASSERT_TRUE(log.CheckpointMessage());
  EXPECT_THAT(log.AddCheckpoint(Bytes(64), signer_.key()),
              FailsWith(ErrorCode::kAuthenticationFailed));
  EXPECT_EQ(log.head().seq, 1);
}

TEST_F(LogTest, ASignatureThatComesTooLateIsAskedForAnew) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  const std::optional<Bytes> message = log.CheckpointMessage();
  ASSERT_TRUE(message);
  for (uint64_t i = 0; i < kMaxCheckpointLag - 1; ++i) ASSERT_OK(log.Append(SomeEvent("a")));
  ASSERT_OK(log.AddCheckpoint(signer_.Sign(*message), signer_.key()));
  EXPECT_THAT(Verify(disk_.Contents()), IsValid());
  const std::optional<Bytes> late = log.CheckpointMessage();
  for (uint64_t i = 0; i < kMaxCheckpointLag; ++i) ASSERT_OK(log.Append(SomeEvent("a")));
  EXPECT_THAT(log.AddCheckpoint(signer_.Sign(*late), signer_.key()),
              FailsWith(ErrorCode::kWrongState));
}

TEST_F(LogTest, ACheckpointIsDueAfterSoManyRecords) {
  limits_.checkpoint_records = 3;
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  ASSERT_OK(log.Append(SomeEvent("a")));
  EXPECT_FALSE(log.CheckpointDue());
  ASSERT_OK(log.Append(SomeEvent("b")));
  EXPECT_TRUE(log.CheckpointDue());
  ASSERT_OK(Sign(log));
  EXPECT_FALSE(log.CheckpointDue());
}

TEST_F(LogTest, ACheckpointBeginsTheNextSegment) {
  limits_.segment_bytes = 600;
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  ASSERT_OK(Sign(log));
  EXPECT_EQ(disk_.segments(), 1);
  ASSERT_OK(log.Append(SomeEvent("a")));
  EXPECT_TRUE(log.CheckpointDue());
  ASSERT_OK(Sign(log));
  EXPECT_EQ(disk_.segments(), 2);
  EXPECT_TRUE(RecordsOf(disk_.Segment(4))[0].checkpoint);
  clock_.Advance(limits_.segment_age);
  ASSERT_OK(log.Append(SomeEvent("b")));
  EXPECT_TRUE(log.CheckpointDue());
  ASSERT_OK(Sign(log));
  EXPECT_EQ(disk_.segments(), 3);
  EXPECT_THAT(Verify(disk_.Contents(), log.head()), IsValid());
}

TEST_F(LogTest, WithoutCheckpointsASegmentEndsAtTwiceItsSize) {
  limits_.segment_bytes = 600;
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  for (int i = 0; i < 30; ++i) ASSERT_OK(log.Append(SomeEvent("a")));
  EXPECT_GT(disk_.segments(), 3);
  EXPECT_LT(disk_.Segment(1).size(), 2 * limits_.segment_bytes + kMaxLine);
  EXPECT_THAT(VerifyChain(disk_.Contents(), log.head()), IsValid());
}

}  // namespace
}  // namespace keyward::audit
