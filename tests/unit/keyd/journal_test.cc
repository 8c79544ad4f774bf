#include "keyd/journal.h"

#include "keyd/audit_events.h"
#include "tests/unit/audit/audit_fixture.h"
#include "tests/unit/keyd/no_space.h"
#include "tests/unit/keyd/test_store.h"

namespace keyward {
namespace {

using testing_support::FailsWith;
using testing_support::NoSpace;
using testing_support::TestStore;

class JournalTest : public ::testing::Test {
 protected:
  void SetUp() override { stored_.MoveAudit(disk_); }
  using Slot = std::shared_ptr<std::optional<Journal::Outcome>>;

  static Store::Change Enrol(const std::string& module) {
    return [module](StoreWriter& store) { return store.PutModule({module, "key"}); };
  }
  static audit::Event Told(const std::string& module) {
    return ModuleEvent(audit::EventKind::kModuleEnrol, 1000, module, "key");
  }
  static Journal::Done Into(const Slot& slot) {
    return [slot](const Journal::Outcome& outcome) { *slot = outcome; };
  }
  static Slot NewSlot() { return std::make_shared<std::optional<Journal::Outcome>>(); }
  Journal::Outcome Commit(const std::string& module) {
    const Slot slot = NewSlot();
    stored_.journal().Commit(Enrol(module), Told(module), Into(slot));
    return **slot;
  }
  Journal::Outcome CommitRegardless(const std::string& module) {
    const Slot slot = NewSlot();
    stored_.journal().CommitRegardless(Enrol(module), Told(module), Into(slot));
    return **slot;
  }
  std::vector<audit::Record> Records() const {
    return testing_support::RecordsOf(disk_.Contents());
  }
  size_t Modules() { return stored_.Load().modules.size(); }

  testing_support::FaultyDisk disk_;  // of the audit log
  TestStore stored_;
};

TEST_F(JournalTest, ACommitIsOnDiskAndConfirmed) {
  const uint64_t before = stored_.counter();
  const Journal::Outcome outcome = Commit("a");
  EXPECT_TRUE(outcome.written);
  EXPECT_OK(outcome.result);
  EXPECT_EQ(stored_.counter(), before + 1);
  EXPECT_EQ(stored_.store().epoch(), stored_.counter());
}

TEST_F(JournalTest, CommitsFollowOneAnother) {
  stored_.HoldAnswers();
  const Slot first = NewSlot();
  const Slot second = NewSlot();
  stored_.journal().Commit(Enrol("a"), Told("a"), Into(first));
  stored_.journal().Commit(Enrol("b"), Told("b"), Into(second));
  EXPECT_EQ(Modules(), 1U);  // the second waits until the first is confirmed
  EXPECT_FALSE(*first);
  ASSERT_TRUE(stored_.Answer());
  ASSERT_TRUE(*first);
  EXPECT_EQ(Modules(), 2U);
  EXPECT_FALSE(*second);
  ASSERT_TRUE(stored_.Answer());
  ASSERT_TRUE(*second);
  EXPECT_OK((*second)->result);
}

TEST_F(JournalTest, WhatTheHardwareDoesNotConfirmIsToldAndHolds) {
  stored_.SetAvailable(false);
  const Journal::Outcome outcome = Commit("a");
  EXPECT_TRUE(outcome.written);
  EXPECT_THAT(outcome.result, FailsWith(ErrorCode::kCustodianUnavailable));
  stored_.Reopen();
  EXPECT_EQ(Modules(), 1U);
}

TEST_F(JournalTest, NothingMoreIsWrittenUntilTheHardwareConfirms) {
  stored_.SetAvailable(false);
  ASSERT_TRUE(Commit("a").written);
  const Journal::Outcome refused = Commit("b");
  EXPECT_FALSE(refused.written);
  EXPECT_THAT(refused.result, FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(Modules(), 1U);
  stored_.SetAvailable(true);
  EXPECT_OK(Commit("c").result);
  EXPECT_EQ(Modules(), 2U);
  EXPECT_EQ(stored_.store().epoch(), stored_.counter());
}

TEST_F(JournalTest, ARevocationIsWrittenInAnyCase) {
  stored_.SetAvailable(false);
  ASSERT_TRUE(Commit("a").written);
  const uint64_t epoch = stored_.store().epoch();
  const Journal::Outcome outcome = CommitRegardless("b");
  EXPECT_TRUE(outcome.written);
  EXPECT_THAT(outcome.result, FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(Modules(), 2U);
  EXPECT_EQ(stored_.store().epoch(), epoch);  // never more than one ahead of the counter
}

TEST_F(JournalTest, ARevocationIsWrittenWhileAnotherCommitWaits) {
  stored_.HoldAnswers();
  const Slot first = NewSlot();
  const Slot revocation = NewSlot();
  stored_.journal().Commit(Enrol("a"), Told("a"), Into(first));
  stored_.journal().CommitRegardless(Enrol("b"), Told("b"), Into(revocation));
  EXPECT_EQ(Modules(), 2U);
  EXPECT_FALSE(*revocation);
  stored_.Reopen();  // as after a kill
  EXPECT_EQ(Modules(), 2U);
  EXPECT_EQ(stored_.store().epoch(), stored_.counter() + 1);
}

// `done` of a change may be where somebody finds that another has to be taken back.
TEST_F(JournalTest, ARevocationFromWithinAnAnswerOvertakesWhatWaits) {
  stored_.HoldAnswers();
  const Slot revocation = NewSlot();
  std::vector<std::string> modules;
  stored_.journal().Commit(Enrol("a"), Told("a"), [&](const Journal::Outcome&) {
    stored_.journal().CommitRegardless(Enrol("revoked"), Told("revoked"), Into(revocation));
    for (const ModuleRecord& module : stored_.Load().modules) modules.push_back(module.name);
  });
  const Slot waiting = NewSlot();
  stored_.journal().Commit(Enrol("b"), Told("b"), Into(waiting));
  ASSERT_TRUE(stored_.Answer());
  EXPECT_THAT(modules, ::testing::ElementsAre("a", "revoked"));
  while (stored_.Answer()) continue;
  EXPECT_OK((*revocation)->result);
  EXPECT_OK((*waiting)->result);
  EXPECT_EQ(Modules(), 3U);
}

TEST_F(JournalTest, WhatHoldsIsToldAsThat) {
  const auto why = Fail(ErrorCode::kIo, "why");
  EXPECT_OK(ToldOfWritten({true, {}}));
  EXPECT_OK(ToldOfHolding({true, {}}));
  EXPECT_EQ(ToldOfWritten({false, why}).error().message(), "why");
  for (const Result<void>& told :
       {ToldOfWritten({true, why}), ToldOfHolding({true, why}), ToldOfHolding({false, why})}) {
    ASSERT_THAT(told, FailsWith(ErrorCode::kIo));
    EXPECT_THAT(told.error().message(),
                ::testing::AllOf(::testing::StartsWith("done, but"), ::testing::EndsWith(": why")));
  }
  EXPECT_NE(ToldOfHolding({false, why}).error().message(),
            ToldOfHolding({true, why}).error().message());
}

// Two copies of one epoch could stand in for each other, so the next confirmation is of another.
TEST_F(JournalTest, ResumingConfirmsInAnEpochOfItsOwn) {
  stored_.SetAvailable(false);
  ASSERT_TRUE(Commit("a").written);
  ASSERT_TRUE(CommitRegardless("b").written);
  const uint64_t epoch = stored_.store().epoch();
  stored_.SetAvailable(true);
  stored_.journal().Resume();
  EXPECT_EQ(stored_.store().epoch(), epoch + 1);
  EXPECT_EQ(stored_.counter(), epoch + 1);
  stored_.journal().Resume();  // owes nothing any more
  EXPECT_EQ(stored_.counter(), epoch + 1);
}

TEST_F(JournalTest, AStartAfterACrashInBetweenCatchesUp) {
  stored_.HoldAnswers();
  stored_.journal().Commit(Enrol("a"), Told("a"), [](const Journal::Outcome&) {});
  EXPECT_EQ(stored_.store().epoch(), stored_.counter() + 1);
  stored_.Reopen();  // the answer never came
  const Slot start = NewSlot();
  stored_.journal().Commit(Enrol("b"), Told("b"), Into(start));
  ASSERT_TRUE(stored_.Answer());
  ASSERT_TRUE(stored_.Answer());
  ASSERT_TRUE(*start);
  EXPECT_OK((*start)->result);
  EXPECT_EQ(stored_.store().epoch(), stored_.counter());
}

TEST_F(JournalTest, StoppingTellsEveryoneThatWaits) {
  stored_.HoldAnswers();
  const Slot first = NewSlot();
  const Slot second = NewSlot();
  const Slot third = NewSlot();
  stored_.journal().Commit(Enrol("a"), Told("a"), Into(first));
  stored_.journal().Commit(Enrol("b"), Told("b"), Into(second));
  stored_.journal().Stop();
  stored_.journal().Commit(Enrol("c"), Told("c"), Into(third));
  ASSERT_TRUE(*first && *second && *third);
  EXPECT_TRUE((*first)->written);
  EXPECT_FALSE((*second)->written);
  EXPECT_FALSE((*third)->written);
  for (const Slot& slot : {first, second, third}) {
    EXPECT_THAT((*slot)->result, FailsWith(ErrorCode::kSealed));
  }
  EXPECT_TRUE(stored_.Answer());  // comes too late, and changes nothing
  EXPECT_EQ(Modules(), 1U);
}

TEST_F(JournalTest, ANoteCountsNothing) {
  const uint64_t counter = stored_.counter();
  ASSERT_OK(stored_.journal().Note(Enrol("a")));
  EXPECT_EQ(stored_.counter(), counter);
  EXPECT_EQ(Modules(), 1U);
}

TEST_F(JournalTest, WhatIsCommittedIsInTheAuditLogAndTheStoreKnowsHowFarThatHasCome) {
  ASSERT_OK(Commit("a").result);
  EXPECT_EQ(Records().back().event, audit::EventKind::kModuleEnrol);
  EXPECT_EQ(Records().back().module, "a");
  EXPECT_EQ(stored_.Load().audit_head, stored_.trail().log()->head());
}

TEST_F(JournalTest, AChangeThatCannotBeToldIsNotMade) {
  disk_.FailAfter(0, testing_support::FaultyDisk::Fault::kIo);
  const Journal::Outcome outcome = Commit("a");
  EXPECT_FALSE(outcome.written);
  EXPECT_THAT(outcome.result, FailsWith(ErrorCode::kIo));
  EXPECT_EQ(Modules(), 0U);
  disk_.FailNoMore();
  EXPECT_OK(Commit("b").result);
  EXPECT_EQ(Modules(), 1U);
}

TEST_F(JournalTest, OnAFullDiskChangesAreRefusedAndRevocationsTold) {
  disk_.SetCapacity(disk_.Used());
  Journal::Outcome outcome{true, {}};
  size_t made = 0;
  while (outcome.result) outcome = Commit("a" + std::to_string(made++));
  EXPECT_THAT(outcome.result, FailsWith(ErrorCode::kResourceExhausted));
  EXPECT_EQ(Modules(), made - 1);
  EXPECT_OK(CommitRegardless("b").result);
  EXPECT_EQ(Records().back().module, "b");
  disk_.SetCapacity(UINT64_MAX);
  EXPECT_OK(Commit("c").result);
}

TEST_F(JournalTest, ARevocationHoldsEvenIfItCannotBeTold) {
  disk_.FailAfter(0, testing_support::FaultyDisk::Fault::kPowerCut);
  EXPECT_OK(CommitRegardless("b").result);
  EXPECT_EQ(Modules(), 1U);
}

// The audit log is elsewhere.
TEST_F(JournalTest, AChangeThatIsToldAndNotWrittenIsToldAgain) {
  const Journal::Outcome outcome = [&] {
    const NoSpace full;
    return Commit("a");
  }();
  EXPECT_FALSE(outcome.written);
  const std::vector<audit::Record> records = Records();
  ASSERT_GE(records.size(), 2U);
  EXPECT_EQ(records[records.size() - 2].failed, std::nullopt);
  EXPECT_EQ(records.back().module, "a");
  EXPECT_EQ(records.back().failed, outcome.result.error().code());
  EXPECT_EQ(records.back().Number("written"), 0U);
  EXPECT_EQ(Modules(), 0U);
}

TEST_F(JournalTest, OnlyWhatMustNotWaitUsesTheSpaceThatIsSetAside) {
  stored_.store().TendReserve();
  const NoSpace full;
  EXPECT_THAT(Commit("a").result, FailsWith(ErrorCode::kIo));
  EXPECT_EQ(std::filesystem::file_size(stored_.reserve()), StoreReserve::kBytes);
  EXPECT_THAT(CommitRegardless("b").result, FailsWith(ErrorCode::kIo));  // it was of no use here
  EXPECT_EQ(std::filesystem::file_size(stored_.reserve()), 0U);
}

TEST_F(JournalTest, WhatIsWrittenAtTheSecondAttemptIsToldOnce) {
  stored_.store().TendReserve();
  const size_t before = Records().size();
  std::optional<NoSpace> full(std::in_place);
  int attempts = 0;
  const Slot slot = NewSlot();
  stored_.journal().CommitRegardless(
      [&](StoreWriter& store) {
        if (++attempts == 3) full.reset();
        return store.PutModule({"a", "key"});
      },
      Told("a"), Into(slot));
  EXPECT_OK((*slot)->result);
  EXPECT_EQ(attempts, 3);
  EXPECT_EQ(Modules(), 1U);
  EXPECT_EQ(Records().size(), before + 1);
  EXPECT_EQ(std::filesystem::file_size(stored_.reserve()), StoreReserve::kBytes);  // once more
  stored_.Reopen();
  EXPECT_EQ(Modules(), 1U);
}

TEST_F(JournalTest, WhatTheHardwareDoesNotConfirmIsTold) {
  stored_.SetAvailable(false);
  ASSERT_TRUE(Commit("a").written);
  EXPECT_EQ(Records().back().failed, ErrorCode::kCustodianUnavailable);
  EXPECT_EQ(Records().back().Number("written"), 1U);
  ASSERT_FALSE(Commit("b").written);
  EXPECT_EQ(Records().back().module, "b");
  EXPECT_EQ(Records().back().failed, ErrorCode::kCustodianUnavailable);
  EXPECT_EQ(Records().back().Number("written"), std::nullopt);
}

TEST_F(JournalTest, AChangeThatTheStoreRefusesIsToldAsRefused) {
  const Slot slot = NewSlot();
  stored_.journal().Commit(
      [](StoreWriter&) -> Result<void> { return Fail(ErrorCode::kAlreadyExists, "taken"); },
      Told("a"), Into(slot));
  EXPECT_FALSE((*slot)->written);
  EXPECT_EQ(Records().back().failed, ErrorCode::kAlreadyExists);
}

TEST_F(JournalTest, HowFarTheLogHasComeIsNotedWithoutACount) {
  const uint64_t counter = stored_.counter();
  ASSERT_OK(stored_.trail().Record(Told("a")));
  ASSERT_OK(stored_.journal().NoteAuditHead());
  EXPECT_EQ(stored_.Load().audit_head, stored_.trail().log()->head());
  EXPECT_EQ(stored_.counter(), counter);
}

TEST_F(JournalTest, TheStoreKnowsWhetherTheLogHasATail) {
  ASSERT_OK(Commit("a").result);
  EXPECT_FALSE(stored_.Load().audit_tail);
  const testing_support::TempDir directory;
  const audit::Log& log = *stored_.trail().log();
  stored_.trail().KeepTail(AuditTailFile::Make(directory.path(), SecretBytes::Create(32).value(),
                                               {log.id(), log.head()}),
                           false);
  ASSERT_OK(stored_.trail().Record(Told("a")));
  ASSERT_OK(stored_.journal().NoteAuditHead());
  EXPECT_TRUE(stored_.Load().audit_tail);
}

TEST(EpochTest, AStoreIsTheLatestOrOneAhead) {
  EXPECT_OK(CheckEpoch(5, 5));
  EXPECT_OK(CheckEpoch(6, 5));
  EXPECT_THAT(CheckEpoch(4, 5), FailsWith(ErrorCode::kRolledBack));
  EXPECT_THAT(CheckEpoch(7, 5), FailsWith(ErrorCode::kRolledBack));
}

}  // namespace
}  // namespace keyward
