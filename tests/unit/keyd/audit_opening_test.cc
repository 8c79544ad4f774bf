#include "keyd/audit_opening.h"

#include <fstream>

#include "keyd/audit_events.h"
#include "keyd/restore_mark.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/audit/audit_fixture.h"

namespace keyward {
namespace {

namespace fs = std::filesystem;
using audit::EventKind;
using testing_support::FailsWith;

class AuditOpeningTest : public ::testing::Test {
 protected:
  Result<void> Open() { return OpenAudit(trail_, state_.path(), {}, known_); }
  void Record(const std::string& object) {
    ASSERT_OK(trail_.Record(MakeEvent(EventKind::kKeyGenerate, 1000, object)));
  }
  void Close() {
    known_.audit_head = trail_.log()->head();
    trail_.Close();
  }
  std::string Segment() const { return state_.File("audit") + "/audit-00000000000000000001.jsonl"; }
  std::vector<audit::Record> Records() const {
    std::ifstream in(Segment());
    return testing_support::RecordsOf(std::string(std::istreambuf_iterator<char>(in), {}));
  }

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
