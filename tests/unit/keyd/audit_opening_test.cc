#include "keyd/audit_opening.h"

#include <fstream>

#include "core/encoding.h"
#include "core/file.h"
#include "keyd/audit_events.h"
#include "keyd/restore_mark.h"
#include "policy/name_rules.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/audit/audit_fixture.h"

namespace keyward {
namespace {

namespace fs = std::filesystem;
using audit::EventKind;
using testing_support::FailsWith;

class AuditOpeningTest : public ::testing::Test {
 protected:
  Result<void> Open() {
    return OpenAudit(trail_, state_.path(), {}, known_, SecretBytes::CopyOf(Bytes(32, 5)).value());
  }
  void Record(const std::string& object) {
    ASSERT_OK(trail_.Record(MakeEvent(EventKind::kKeyGenerate, 1000, object)));
  }
  void Close() {
    Note();
    trail_.Close();
  }
  // What the journal has the store know.
  void Note() {
    known_.audit_head = trail_.log()->head();
    known_.audit_tail = trail_.has_tail();
  }
  // Ends with records of which the store does not know.
  void Crash() {
    Note();
    for (const char* object : {"late-1", "late-2"}) Record(object);
    trail_.Close();
  }
  void ExpectRefused(ErrorCode code) {
    const Result<void> opened = Open();
    ASSERT_THAT(opened, FailsWith(code));
    EXPECT_THAT(opened.error().message(), ::testing::HasSubstr("keyctl audit restart"));
    EXPECT_FALSE(trail_.is_open());
  }
  // A later Keyward has the files of an earlier one, or those of a service that was restored.
  void ForgetTail() {
    known_.audit_tail = false;
    fs::remove(Tail());
  }
  std::string Tail() const { return state_.File("audit-tail"); }
  std::string Text() const {
    std::ifstream in(Segment());
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void Rewrite(const std::vector<std::string>& lines) const {
    std::ofstream(Segment()) << testing_support::TextOf(lines);
  }
  std::string Segment() const { return state_.File("audit") + "/audit-00000000000000000001.jsonl"; }
  std::vector<audit::Record> Records() const { return testing_support::RecordsOf(Text()); }

  testing_support::TempDir state_;
  testing_support::FakeClock clock_;
  SystemRng rng_;
  AuditTrail trail_{clock_, rng_};
  StoredState known_;
};

TEST_F(AuditOpeningTest, AStoreThatKnowsOfNoneBeginsOne) {
  ASSERT_OK(Open());
  const std::vector<audit::Record> records = Records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].event, EventKind::kAuditBegin);
  EXPECT_EQ(records[1].event, EventKind::kServiceInit);
  Record("web");
  Close();
  ASSERT_OK(Open());
  EXPECT_EQ(Records().size(), 3U);
}

TEST_F(AuditOpeningTest, ALogThatIsCutOffIsRefusedWithItsRemedy) {
  ASSERT_OK(Open());
  Record("web");
  const auto before = fs::file_size(Segment());
  Record("web-2");
  Close();
  fs::resize_file(Segment(), before);
  const Result<void> opened = Open();
  EXPECT_THAT(opened, FailsWith(ErrorCode::kRolledBack));
  EXPECT_THAT(opened.error().message(), ::testing::HasSubstr("keyctl audit restart"));
  EXPECT_FALSE(trail_.is_open());
}

TEST_F(AuditOpeningTest, ALogThatIsGoneIsRefused) {
  ASSERT_OK(Open());
  Close();
  fs::remove_all(state_.File("audit"));
  EXPECT_THAT(Open(), FailsWith(ErrorCode::kRolledBack));
}

TEST_F(AuditOpeningTest, AnAlteredLogIsRefused) {
  ASSERT_OK(Open());
  Record("web");
  Record("web-2");
  Close();
  std::fstream file(Segment(), std::ios::in | std::ios::out);
  file.seekp(200);
  file.put('!');
  file.close();
  EXPECT_THAT(Open(), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(AuditOpeningTest, ARestartKeepsTheFormerLogAndTellsOfIt) {
  ASSERT_OK(Open());
  Record("web");
  Close();
  fs::resize_file(Segment(), 100);
  ASSERT_OK_AND_ASSIGN(const fs::path former, RestartAudit(state_.path()));
  EXPECT_EQ(fs::file_size(former / "audit-00000000000000000001.jsonl"), 100U);
  ASSERT_OK(Open());
  const std::vector<audit::Record> records = Records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1].event, EventKind::kAuditRestart);
  EXPECT_EQ(records[1].Number("former_seq"), known_.audit_head->seq);
  // A crash before the store knows of the new log.
  trail_.Close();
  ASSERT_OK(Open());
  ASSERT_OK(EndAuditMarks(state_.path()));
  Close();
  ASSERT_OK(Open());
  // From here on it is held to what it was again.
  Close();
  fs::remove_all(state_.File("audit"));
  EXPECT_THAT(Open(), FailsWith(ErrorCode::kRolledBack));
}

TEST_F(AuditOpeningTest, AMarkThatSomebodyElseMadeMakesNoLogBelieved) {
  ASSERT_OK(Open());
  Record("web");
  Close();
  const std::string mark = state_.File(kAuditRestartMark);
  ASSERT_OK(ReplaceFile(mark, {}));
  ASSERT_OK(Open());  // which is whole, and goes on
  EXPECT_EQ(Records().size(), 3U);
  EXPECT_FALSE(fs::exists(state_.File("audit-former-1")));
  Close();
  std::vector<std::string> lines = testing_support::LinesOf(Text());
  lines.pop_back();
  Rewrite(lines);
  const std::string cut = Text();
  ASSERT_OK(Open());
  const std::vector<audit::Record> records = Records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1].event, EventKind::kAuditRestart);
  EXPECT_EQ(records[1].Number("former_seq"), known_.audit_head->seq);
  std::ifstream former(state_.File("audit-former-1") + "/audit-00000000000000000001.jsonl");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(former), {}), cut);
  Note();
  ASSERT_OK(EndAuditMarks(state_.path()));
  EXPECT_FALSE(fs::exists(mark));
}

TEST_F(AuditOpeningTest, RecordsOfWhichTheStoreDoesNotKnowCannotBeCutOff) {
  ASSERT_OK(Open());
  Record("web");
  Crash();
  std::vector<std::string> lines = testing_support::LinesOf(Text());
  while (lines.size() > 3) {
    lines.pop_back();
    Rewrite(lines);
    ExpectRefused(ErrorCode::kRolledBack);
  }
}

TEST_F(AuditOpeningTest, RecordsOfWhichTheStoreDoesNotKnowCannotBeRewritten) {
  ASSERT_OK(Open());
  Record("web");
  Crash();
  const std::string whole = Text();
  std::vector<std::string> lines = testing_support::LinesOf(whole);
  ASSERT_EQ(lines.size(), 5U);
  std::string& forged = lines[3];
  forged.replace(forged.find("late-1"), 6, "lame-1");
  std::string& last = lines[4];
  last.replace(last.find("\"prev\":\"") + 8, 64, ToHex(audit::HashOf(forged)));
  Rewrite(lines);
  ASSERT_THAT(testing_support::VerifyText(Text(), {}), testing_support::IsValid());
  ExpectRefused(ErrorCode::kRolledBack);
  std::ofstream(Segment()) << whole;
  EXPECT_OK(Open());
}

TEST_F(AuditOpeningTest, ACheckpointThatTheServiceKeyDidNotSignIsRefused) {
  ASSERT_OK(Open());
  const testing_support::TestSigner service;
  known_.versions.push_back({.key = std::string(policy::kServiceKeyName),
                             .number = 1,
                             .id = {},
                             .state = VersionState::kActive,
                             .spki = ToBytes(service.key().spki()),
                             .reference = {},
                             .created = {}});
  Note();
  const auto sign = [this](const testing_support::TestSigner& signer) {
    const Bytes message = trail_.log()->CheckpointMessage().value();
    ASSERT_OK(trail_.log()->AddCheckpoint(signer.Sign(message), signer.key()));
  };
  const Bytes early = ReadFile(Tail(), kAuditTailSize).value().value();
  sign(service);
  trail_.Close();
  ASSERT_OK(ReplaceFile(Tail(), early));  // as after a power cut
  ASSERT_OK(Open());
  Record("web");
  sign(testing_support::TestSigner());
  trail_.Close();
  ASSERT_OK(ReplaceFile(Tail(), early));
  ExpectRefused(ErrorCode::kDataCorrupt);
}

TEST_F(AuditOpeningTest, ATailThatIsMissingOrAlteredIsRefusedUntilAnAdminVouches) {
  ASSERT_OK(Open());
  Crash();
  const Bytes whole = ReadFile(Tail(), kAuditTailSize).value().value();
  fs::remove(Tail());
  ExpectRefused(ErrorCode::kRolledBack);
  ASSERT_OK(ReplaceFile(Tail(), ByteView(whole).first(whole.size() - 1)));
  ExpectRefused(ErrorCode::kDataCorrupt);
  Bytes altered = whole;
  altered[28] ^= 1;  // the sequence number
  ASSERT_OK(ReplaceFile(Tail(), altered));
  ExpectRefused(ErrorCode::kDataCorrupt);
  ASSERT_OK(RestartAudit(state_.path()));
  ASSERT_OK(Open());
  Record("web");
  Note();
  ASSERT_OK(EndAuditMarks(state_.path()));
  EXPECT_TRUE(known_.audit_tail);
  trail_.Close();
  EXPECT_OK(Open());
  Close();
  // That of the former log is none of this one.
  ASSERT_OK(ReplaceFile(Tail(), whole));
  ExpectRefused(ErrorCode::kRolledBack);
}

TEST_F(AuditOpeningTest, ATailThatIsBehindTheLogOpensIt) {
  ASSERT_OK(Open());
  Note();
  const Bytes early = ReadFile(Tail(), kAuditTailSize).value().value();
  Crash();
  ASSERT_OK(ReplaceFile(Tail(), early));  // as after a power cut
  ASSERT_OK(Open());
  EXPECT_EQ(Records().back().object, "late-2");
  // It follows the log from there on.
  Crash();
  std::vector<std::string> lines = testing_support::LinesOf(Text());
  lines.pop_back();
  Rewrite(lines);
  ExpectRefused(ErrorCode::kRolledBack);
}

TEST_F(AuditOpeningTest, ATailThatIsBehindWhatTheStoreKnowsMayNameARemovedRecord) {
  ASSERT_OK(Open());
  Note();
  audit::End end = ReadAuditTail(state_.path(), SecretBytes::CopyOf(Bytes(32, 5)).value()).value();
  Close();
  end.head.hash.fill(0);  // no record that is there has it
  ASSERT_OK(AuditTailFile::Make(state_.path(), SecretBytes::CopyOf(Bytes(32, 5)).value(), end));
  EXPECT_OK(Open());
}

TEST_F(AuditOpeningTest, AStoreFromBeforeThereWereTailsOpensAndGetsOne) {
  ASSERT_OK(Open());
  Record("web");
  Close();
  ForgetTail();
  ASSERT_OK(Open());
  Note();
  EXPECT_TRUE(known_.audit_tail);
  trail_.Close();
  fs::remove(Tail());
  ExpectRefused(ErrorCode::kRolledBack);
}

TEST_F(AuditOpeningTest, ATailThatTheStoreDoesNotKnowOfIsReplaced) {
  std::ofstream(Tail()) << "of another service";
  ASSERT_OK(Open());
  Crash();
  EXPECT_OK(Open());
}

TEST_F(AuditOpeningTest, WhereNoTailCanBeMadeTheLogIsKeptWithoutOne) {
  fs::create_directory(Tail());
  ASSERT_OK(Open());
  EXPECT_FALSE(trail_.has_tail());
  Crash();
  ASSERT_OK(Open());
  Close();
  fs::remove(Tail());
  ASSERT_OK(Open());
  EXPECT_TRUE(trail_.has_tail());
}

TEST_F(AuditOpeningTest, ATailThatCannotBeWrittenStaysAndHoldsNothingUp) {
  ASSERT_OK(Open());
  Close();
  fs::rename(Tail(), state_.File("elsewhere"));
  fs::create_symlink(state_.File("elsewhere"), Tail());
  ASSERT_OK(Open());
  EXPECT_TRUE(trail_.has_tail());
  Record("web");
  Close();
  EXPECT_OK(Open());
}

const RestoreMark kRestored{.id = "000102030405060708090a0b0c0d0e0f",
                            .created = WallTime(std::chrono::milliseconds(1234)),
                            .epoch = 56};

TEST_F(AuditOpeningTest, TheFirstRecordsOfARestoredServiceTellOfItsBackup) {
  ASSERT_OK(WriteRestoreMark(state_.path(), kRestored));
  ASSERT_OK(Open());
  const std::vector<audit::Record> records = Records();
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[1].event, EventKind::kServiceInit);
  EXPECT_EQ(records[2].event, EventKind::kBackupRestore);
  EXPECT_EQ(records[2].caller, std::nullopt);
  EXPECT_EQ(records[2].object, kRestored.id);
  EXPECT_EQ(records[2].Number("created"), 1234U);
  EXPECT_EQ(records[2].Number("epoch"), 56U);
  ASSERT_OK(EndAuditMarks(state_.path()));
  EXPECT_FALSE(fs::exists(state_.File("restored")));
}

TEST_F(AuditOpeningTest, ARestoreIsToldOnceTheStoreKnowsIt) {
  ASSERT_OK(WriteRestoreMark(state_.path(), kRestored));
  ASSERT_OK(Open());
  Close();  // killed before the mark was removed
  ASSERT_OK(Open());
  EXPECT_EQ(Records().size(), 3U);
}

TEST_F(AuditOpeningTest, AMarkThatCannotBeReadTellsOfARestoreAllTheSame) {
  std::ofstream(state_.File("restored")) << "half of";
  ASSERT_OK(Open());
  ASSERT_EQ(Records().size(), 3U);
  EXPECT_EQ(Records()[2].event, EventKind::kBackupRestore);
  EXPECT_EQ(Records()[2].object, "");
}

TEST_F(AuditOpeningTest, ARestoredServiceWhoseLogIsRestartedTellsBoth) {
  ASSERT_OK(WriteRestoreMark(state_.path(), kRestored));
  ASSERT_OK(Open());
  trail_.Close();  // killed before the store knew of the log
  ASSERT_OK(RestartAudit(state_.path()));
  ASSERT_OK(Open());
  ASSERT_EQ(Records().size(), 3U);
  EXPECT_EQ(Records()[1].event, EventKind::kAuditRestart);
  EXPECT_EQ(Records()[2].object, kRestored.id);
}

TEST_F(AuditOpeningTest, SeveralRestartsKeepEveryLog) {
  for (int i = 1; i <= 2; ++i) {
    ASSERT_OK(Open());
    Close();
    ASSERT_OK_AND_ASSIGN(const fs::path former, RestartAudit(state_.path()));
    EXPECT_EQ(former.filename(), "audit-former-" + std::to_string(i));
  }
  ASSERT_OK_AND_ASSIGN(const fs::path none, RestartAudit(state_.path()));
  EXPECT_TRUE(none.empty());
}

}  // namespace
}  // namespace keyward
