#include "audit/verify.h"

#include "core/encoding.h"
#include "tests/unit/audit/audit_fixture.h"

namespace keyward::audit {
namespace {

using testing_support::AuditTest;
using testing_support::HasFault;
using testing_support::IsValid;
using testing_support::LinesOf;
using testing_support::SomeEvent;
using testing_support::TestSigner;
using testing_support::TextOf;
using testing_support::VerifyText;

// Eight records: 1 begins, 4 is a checkpoint over 3, 8 one over 6 (7 came while it was signed).
class VerifyTest : public AuditTest {
 protected:
  void SetUp() override {
    Result<Log> log = Open();
    ASSERT_OK(log);
    for (const char* object : {"a", "b"}) ASSERT_OK(log->Append(SomeEvent(object)));
    ASSERT_OK(Sign(*log));
    clock_.Advance(std::chrono::seconds(-3));
    ASSERT_OK(log->Append(SomeEvent("c")));
    Event failure = SomeEvent("peer");
    failure.caller.reset();
    failure.failed = ErrorCode::kExpired;
    ASSERT_OK(log->Append(failure));
    const std::optional<Bytes> message = log->CheckpointMessage();
    ASSERT_OK(log->Append(SomeEvent("d")));
    ASSERT_OK(log->AddCheckpoint(signer_.Sign(message.value_or(Bytes())), signer_.key()));
    head_ = log->head();
    text_ = disk_.Contents();
    lines_ = LinesOf(text_);
    ASSERT_EQ(lines_.size(), 8);
  }

  Head head_{};
  std::string text_;
  std::vector<std::string> lines_;
};

TEST_F(VerifyTest, AWholeLogIsValid) {
  const Report report = Verify(text_, head_);
  EXPECT_THAT(report, IsValid());
  EXPECT_EQ(report.records, 8);
  EXPECT_EQ(report.first_seq, 1);
  EXPECT_EQ(report.last, head_);
  EXPECT_EQ(report.checkpoints, 2);
  EXPECT_EQ(report.verified, 2);
  EXPECT_EQ(report.signed_through, 6);
}

TEST_F(VerifyTest, TheSizeOfChunksDoesNotMatter) {
  Verifier verifier({.keys = {signer_.key()}, .head = head_});
  for (const char c : text_) verifier.Push({&c, 1});
  EXPECT_THAT(verifier.Finish(), IsValid());
}

// Every byte of the log, replaced by each of several others, is found, and in its own line.
TEST_F(VerifyTest, EveryByteThatIsChangedIsFoundWhereItIs) {
  size_t line = 1;
  for (size_t at = 0; at < text_.size(); ++at) {
    const char was = text_[at];
    for (const int bits : {1, 16, 128}) {
      std::string changed = text_;
      changed[at] = static_cast<char>(was ^ bits);
      const Report report = Verify(changed, head_);
      ASSERT_TRUE(report.fault) << "byte " << at << " xor " << bits;
      EXPECT_EQ(report.fault->line, line)
          << "byte " << at << " xor " << bits << ": " << report.fault->what;
      EXPECT_EQ(report.records, line - 1) << "byte " << at << " xor " << bits;
    }
    if (was == '\n') ++line;
  }
}

// Without the known head the same holds for all but the last line, whose chain nobody answers for.
TEST_F(VerifyTest, WithoutAHeadOnlyTheLastRecordCanChange) {
  const size_t last = text_.size() - lines_.back().size() - 1;
  for (size_t at = 0; at < last; ++at) {
    std::string changed = text_;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_TRUE(Verify(changed).fault) << at;
  }
}

TEST_F(VerifyTest, EveryByteThatIsRemovedOrAddedIsFound) {
  for (size_t at = 0; at < text_.size(); ++at) {
    std::string changed = text_;
    changed.erase(at, 1);
    EXPECT_TRUE(Verify(changed, head_).fault) << "removed " << at;
    changed = text_;
    changed.insert(at, 1, '0');
    EXPECT_TRUE(Verify(changed, head_).fault) << "added " << at;
  }
}

TEST_F(VerifyTest, ARemovedRecordIsMissed) {
  for (size_t removed = 1; removed + 1 < lines_.size(); ++removed) {
    std::vector<std::string> lines = lines_;
    lines.erase(lines.begin() + static_cast<ptrdiff_t>(removed));
    const Report report = Verify(TextOf(lines), head_);
    EXPECT_THAT(report, HasFault(FaultKind::kRemoved, removed + 1));
    EXPECT_EQ(report.fault->seq, removed + 1);
  }
  EXPECT_THAT(Verify(text_.substr(lines_[0].size() + 1)),
              HasFault(FaultKind::kBeginningRemoved, 1));
}

TEST_F(VerifyTest, RecordsInAnotherOrderAreToldFromRemovedOnes) {
  std::vector<std::string> lines = lines_;
  std::swap(lines[2], lines[5]);
  const Report report = Verify(TextOf(lines), head_);
  EXPECT_THAT(report, HasFault(FaultKind::kReordered, 3));
  EXPECT_EQ(report.fault->what, "record 3 stands further down, in line 6");
}

TEST_F(VerifyTest, ADuplicatedRecordIsFoundAnywhereBehindItself) {
  for (const size_t to : {size_t{3}, size_t{5}, size_t{8}}) {
    std::vector<std::string> lines = lines_;
    lines.insert(lines.begin() + static_cast<ptrdiff_t>(to), lines_[2]);
    EXPECT_THAT(Verify(TextOf(lines), head_), HasFault(FaultKind::kDuplicated, to + 1));
  }
}

TEST_F(VerifyTest, AFileThatEndsWithinALineIsTruncated) {
  EXPECT_THAT(Verify(text_.substr(0, text_.size() - 1)), HasFault(FaultKind::kTruncated, 8));
  EXPECT_THAT(Verify(text_.substr(0, lines_[0].size() + 10)), HasFault(FaultKind::kTruncated, 2));
}

TEST_F(VerifyTest, AnEndThatWasCutOffShowsOnlyAgainstAKnownHead) {
  const std::string cut = TextOf({lines_.begin(), lines_.begin() + 6});
  EXPECT_THAT(Verify(cut), IsValid());
  const Report report = Verify(cut, head_);
  EXPECT_THAT(report, HasFault(FaultKind::kEndRemoved, 7));
  EXPECT_EQ(report.fault->seq, 7);
}

// One who can write the file can make another chain, but not sign it.
TEST_F(VerifyTest, AForgedChainHasNoSignatureOfTheKey) {
  disk_ = {};
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  EXPECT_THAT(Verify(disk_.Contents()), HasFault(FaultKind::kUnsigned, 1));
  const TestSigner other;
  const std::optional<Bytes> message = log.CheckpointMessage();
  ASSERT_TRUE(message);
  ASSERT_OK(log.AddCheckpoint(other.Sign(*message), other.key()));
  EXPECT_THAT(Verify(disk_.Contents()), HasFault(FaultKind::kUnknownKey, 2));
  EXPECT_THAT(VerifyChain(disk_.Contents()), IsValid());
  // It claims to be the right key's.
  std::string text = disk_.Contents();
  const std::string right = ToHex(signer_.key().Fingerprint());
  text.replace(text.find(ToHex(other.key().Fingerprint())), right.size(), right);
  EXPECT_THAT(Verify(text), HasFault(FaultKind::kBadSignature, 2));
}

TEST_F(VerifyTest, EachCheckpointMayHaveAKeyOfItsOwn) {
  const TestSigner next;
  ASSERT_OK_AND_ASSIGN(Log log, Open(head_));
  const std::optional<Bytes> message = log.CheckpointMessage();
  ASSERT_TRUE(message);
  ASSERT_OK(log.AddCheckpoint(next.Sign(*message), next.key()));
  const Report report =
      VerifyText(disk_.Contents(), {.keys = {signer_.key(), next.key()}, .head = {}});
  EXPECT_THAT(report, IsValid());
  EXPECT_EQ(report.verified, 3);
  EXPECT_EQ(report.signed_through, 8);
}

TEST_F(VerifyTest, NothingButRecordsIsMalformed) {
  EXPECT_THAT(Verify(""), HasFault(FaultKind::kEmpty, 1));
  EXPECT_THAT(Verify("\n"), HasFault(FaultKind::kMalformed, 1));
  EXPECT_THAT(Verify(std::string(100'000, 'x')), HasFault(FaultKind::kTruncated, 1));
  EXPECT_THAT(Verify(text_ + std::string(100'000, 'x') + "\n"), HasFault(FaultKind::kMalformed, 9));
  EXPECT_THAT(Verify(text_ + "\n"), HasFault(FaultKind::kMalformed, 9));
}

}  // namespace
}  // namespace keyward::audit
