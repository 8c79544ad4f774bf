#include "audit/log.h"
#include "core/encoding.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using testing_support::FakeClock;
using testing_support::KeyctlTest;
using testing_support::SomeKey;
using testing_support::TempDir;
using testing_support::TemporaryFile;

std::string TextOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// A log of four records without a checkpoint.
class AuditCommandTest : public KeyctlTest {
 protected:
  void SetUp() override {
    Result<audit::Log> log = audit::Log::Open(folder_.path(), clock_, rng_, {});
    ASSERT_OK(log);
    ASSERT_OK(Append(*log, audit::EventKind::kKeyGenerate, "frontend", "signer", {}));
    clock_.Advance(std::chrono::hours(24));
    ASSERT_OK(Append(*log, audit::EventKind::kKeySign, "frontend", "signer", {}));
    ASSERT_OK(Append(*log, audit::EventKind::kKeySign, "backend", "other \x1b[2J",
                     ErrorCode::kPermissionDenied));
    head_ = "4:" + ToHex(log->head().hash);
    path_ = folder_.File("audit-00000000000000000001.jsonl");
    text_ = TextOf(path_);
  }

  static Result<void> Append(audit::Log& log, audit::EventKind kind, const std::string& module,
                             const std::string& object, std::optional<ErrorCode> failed) {
    return log.Append({.kind = kind,
                       .caller = 1000,
                       .module = audit::SafeText(module),
                       .object = audit::SafeText(object),
                       .failed = failed,
                       .detail = {{"version", uint64_t{1}}}});
  }
  // Without the heading.
  size_t RowsShown() const {
    const std::string shown = out_.str();
    return static_cast<size_t>(std::ranges::count(shown, '\n')) - 1;
  }

  FakeClock clock_;
  SystemRng rng_;
  TempDir folder_;
  std::string path_;
  std::string text_;
  std::string head_;
};

TEST_F(AuditCommandTest, VerifyTellsOfAValidLogAndWhatWasNotChecked) {
  EXPECT_EQ(Run({"audit", "verify", path_}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("is valid: 4 records (1 to 4); 0 checkpoints; nothing is "
                                    "signed yet.\nIts head is " +
                                    head_ + ".\n"));
  EXPECT_THAT(err_.str(), IsEmpty());
}

TEST_F(AuditCommandTest, VerifyNamesTheFirstBadRecord) {
  std::string text = text_;
  text.replace(text.find("\"signer\""), 8, "\"sinner\"");
  const TemporaryFile file(text);
  EXPECT_EQ(Run({"audit", "verify", file.path()}), ExitCode::kFailure);
  EXPECT_EQ(err_.str(), "keyctl: " + file.path() + " is not valid: line 2: record 2 was altered\n");
  EXPECT_THAT(out_.str(), IsEmpty());
  EXPECT_EQ(Run({"audit", "verify", file.path(), "--json"}), ExitCode::kFailure);
  EXPECT_EQ(OutJson().at("valid"), false);
  EXPECT_EQ(OutJson().at("problem").at("kind"), "altered");
  EXPECT_EQ(OutJson().at("problem").at("seq"), 2);
}

TEST_F(AuditCommandTest, VerifyReadsTheStandardInput) {
  in_.str(text_);
  EXPECT_EQ(Run({"audit", "verify", "-", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at("records"), 4);
  EXPECT_TRUE(OutJson().at("problem").is_null());
}

TEST_F(AuditCommandTest, VerifyWithAKeyWantsASignature) {
  const TemporaryFile key(SomeKey().ToPem());
  EXPECT_EQ(Run({"audit", "verify", path_, "--key", key.path()}), ExitCode::kFailure);
  EXPECT_THAT(err_.str(), EndsWith("there is no checkpoint, so nothing is signed\n"));
}

TEST_F(AuditCommandTest, AFileMayHoldSeveralKeys) {
  const TemporaryFile keys(SomeKey().ToPem() + SomeKey().ToPem());
  EXPECT_EQ(Run({"audit", "verify", path_, "--key", keys.path()}), ExitCode::kFailure);
  EXPECT_THAT(err_.str(), EndsWith("there is no checkpoint, so nothing is signed\n"));
  const TemporaryFile broken(SomeKey().ToPem() + "-----END PUBLIC KEY-----\n");
  EXPECT_EQ(Run({"audit", "verify", path_, "--key", broken.path()}), ExitCode::kUsage);
}

TEST_F(AuditCommandTest, VerifyMissesAnEndOnlyWithItsHead) {
  EXPECT_EQ(Run({"audit", "verify", path_, "--head", head_}), ExitCode::kOk);
  const std::string cut = text_.substr(0, text_.rfind("{\"seq\""));
  const TemporaryFile file(cut);
  EXPECT_EQ(Run({"audit", "verify", file.path()}), ExitCode::kOk);
  EXPECT_EQ(Run({"audit", "verify", file.path(), "--head", head_}), ExitCode::kFailure);
  EXPECT_THAT(err_.str(), EndsWith("record 4, which is known, is missing\n"));
}

TEST_F(AuditCommandTest, VerifyRefusesArgumentsThatAreNone) {
  EXPECT_EQ(Run({"audit", "verify", "/does/not/exist"}), ExitCode::kUsage);
  EXPECT_EQ(Run({"audit", "verify", folder_.path().string()}), ExitCode::kUsage);
  EXPECT_EQ(Run({"audit", "verify", path_, "--key", path_}), ExitCode::kUsage);
  for (const char* head : {"4", "4:", "x:00", "4:0011", ":"}) {
    EXPECT_EQ(Run({"audit", "verify", path_, "--head", head}), ExitCode::kUsage) << head;
  }
}

TEST_F(AuditCommandTest, ShowIsATable) {
  EXPECT_EQ(Run({"audit", "show", path_}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), StartsWith("TIME                          SEQ  EVENT             CALLER  "
                                     "MODULE        OBJECT            OUTCOME           DETAIL\n"));
  EXPECT_THAT(
      out_.str(),
      HasSubstr("2025-06-15T15:06:40.000Z        2  key.generate      1000    frontend      "
                "signer            ok                version=1\n"));
  EXPECT_THAT(out_.str(), HasSubstr("other %1B%5B2J    PermissionDenied  version=1\n"));
  EXPECT_EQ(RowsShown(), 4);
}

TEST_F(AuditCommandTest, ShowChoosesByEachOption) {
  struct Case {
    std::vector<std::string> options;
    size_t rows;
  };
  for (const Case& c :
       {Case{{"--event", "key.sign"}, 2},
        Case{{"--event", "key.sign", "--event", "key.generate"}, 3},
        Case{{"--module", "frontend"}, 2}, Case{{"--module", "frontend", "--event", "key.sign"}, 1},
        Case{{"--object", "other \x1b[2J"}, 1}, Case{{"--outcome", "PermissionDenied"}, 1},
        Case{{"--outcome", "ok"}, 3}, Case{{"--since", "2025-06-16"}, 2},
        Case{{"--until", "2025-06-16"}, 2},
        Case{{"--since", "2025-06-15T15:06:40Z", "--until", "2025-06-16"}, 2},
        Case{{"--since", "2025-06-15T15:06:40.001Z"}, 2}}) {
    std::vector<std::string> command = {"audit", "show", path_};
    command.insert(command.end(), c.options.begin(), c.options.end());
    EXPECT_EQ(Run(command), ExitCode::kOk) << err_.str();
    EXPECT_EQ(RowsShown(), c.rows) << c.options[0] << " " << c.options[1];
  }
}

TEST_F(AuditCommandTest, ShowPassesLinesThroughAsTheyAre) {
  in_.str(text_);
  EXPECT_EQ(Run({"audit", "show", "-", "--json"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), text_);
}

TEST_F(AuditCommandTest, ShowRefusesWordsThatAreNone) {
  EXPECT_EQ(Run({"audit", "show", path_, "--event", "key.steal"}), ExitCode::kUsage);
  EXPECT_EQ(Run({"audit", "show", path_, "--outcome", "fine"}), ExitCode::kUsage);
  EXPECT_EQ(Run({"audit", "show", path_, "--since", "yesterday"}), ExitCode::kUsage);
  EXPECT_EQ(Run({"audit", "show", path_, "--until", "2025-06-31"}), ExitCode::kUsage);
}

TEST_F(AuditCommandTest, ShowNamesALineThatIsNoRecord) {
  const TemporaryFile file(text_ + "no record\n");
  EXPECT_EQ(Run({"audit", "show", file.path()}), ExitCode::kFailure);
  EXPECT_THAT(err_.str(), HasSubstr("line 5 is no record of an audit log"));
  EXPECT_EQ(RowsShown(), 4);
}

// keyd's own log, in two parts, and what comes after it.
class OwnAuditLogTest : public AuditCommandTest {
 protected:
  void SetUp() override {
    AuditCommandTest::SetUp();
    size_t second = 0;
    for (int i = 0; i < 2; ++i) second = text_.find('\n', second) + 1;
    keyd_.audit = {{1, text_.substr(0, second)}, {3, text_.substr(second)}};
    keyd_.status.audit = {.state = "ok", .last = 4, .signed_through = 2, .unrecorded = 0};
  }
  // The sequence numbers of what was printed with --json.
  std::vector<uint64_t> Printed() const {
    std::vector<uint64_t> printed;
    std::istringstream in(out_.str());
    for (std::string line; std::getline(in, line);) {
      const Result<audit::Record> record = audit::ParseLine(line);
      printed.push_back(record ? record->seq : 0);
    }
    return printed;
  }
};

TEST_F(OwnAuditLogTest, TailPrintsTheLatest) {
  EXPECT_EQ(Run({"audit", "tail", "--json"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), text_);
  EXPECT_EQ(Run({"audit", "tail", "-n", "3", "--json"}), ExitCode::kOk);
  EXPECT_THAT(Printed(), ::testing::ElementsAre(2, 3, 4));
  EXPECT_EQ(Run({"audit", "tail", "-n", "0", "--json"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), IsEmpty());
  EXPECT_EQ(Run({"audit", "tail", "-n", "2"}), ExitCode::kOk);
  EXPECT_EQ(RowsShown(), 2U);
  EXPECT_EQ(Run({"audit", "tail", "-n", "-1"}), ExitCode::kUsage);
}

// As in a service's first hour, though the key that will sign is there.
TEST_F(OwnAuditLogTest, VerifyFindsALogValidThatNothingIsToHaveSignedYet) {
  keyd_.details.versions = {{.number = 1,
                             .state = "active",
                             .spki = SomeKey().spki(),
                             .created = {},
                             .activated = {},
                             .retire_at = {},
                             .uses = 0}};
  keyd_.status.audit.signed_through = 0;
  EXPECT_EQ(Run({"audit", "verify"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("nothing is signed yet"));
  keyd_.status.audit.signed_through = 2;
  EXPECT_EQ(Run({"audit", "verify"}), ExitCode::kFailure);
}

TEST_F(OwnAuditLogTest, TailFollowsUntilTheLogIsClosed) {
  keyd_.followed = text_.substr(0, text_.find('\n') + 1);  // any record will do
  EXPECT_EQ(Run({"audit", "tail", "-n", "1", "--follow", "--json"}), ExitCode::kFailure);
  EXPECT_THAT(Printed(), ::testing::ElementsAre(4, 1));
  EXPECT_THAT(err_.str(), HasSubstr("the audit log was closed"));
}

TEST_F(OwnAuditLogTest, ExportSignsThenWritesAllOfItToANewFile) {
  const std::string to = folder_.File("exported");
  EXPECT_EQ(Run({"audit", "export", "--to", to}), ExitCode::kOk);
  EXPECT_EQ(TextOf(to), text_);
  EXPECT_THAT(keyd_.calls, ::testing::ElementsAre("SignAudit", "ReadAudit 0", "ReadAudit 3"));
  EXPECT_EQ(Run({"audit", "export", "--to", to}), ExitCode::kAlreadyExists);
  EXPECT_EQ(Run({"audit", "export", "--unsigned"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), text_);
}

TEST_F(OwnAuditLogTest, AnExportThatFailsLeavesNoFile) {
  keyd_.audit_gap = true;
  const std::string to = folder_.File("exported");
  EXPECT_EQ(Run({"audit", "export", "--to", to}), ExitCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(to));
}

TEST_F(OwnAuditLogTest, AnExportHasItsNameOnlyWhenItIsWhole) {
  const std::string to = folder_.File("exported");
  keyd_.during_read = [&] { EXPECT_FALSE(std::filesystem::exists(to)); };
  EXPECT_EQ(Run({"audit", "export", "--to", to}), ExitCode::kOk);
  EXPECT_TRUE(std::filesystem::exists(to));
}

TEST_F(OwnAuditLogTest, AnExportReplacesNoFileThatWasMadeMeanwhile) {
  const TempDir folder;
  const std::string to = folder.File("exported");
  keyd_.during_read = [&] { std::ofstream(to) << "another's"; };
  EXPECT_EQ(Run({"audit", "export", "--to", to}), ExitCode::kAlreadyExists);
  EXPECT_EQ(TextOf(to), "another's");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);  // no draft
}

TEST_F(OwnAuditLogTest, ShowAndVerifyReadItWithoutAFile) {
  EXPECT_EQ(Run({"audit", "show", "--event", "key.sign"}), ExitCode::kOk);
  EXPECT_EQ(RowsShown(), 2U);
  VersionSummary version;
  version.number = 1;
  version.spki = SomeKey().spki();
  keyd_.details.versions = {version};
  EXPECT_EQ(Run({"audit", "verify"}), ExitCode::kFailure);
  EXPECT_THAT(err_.str(), HasSubstr("nothing"));  // is signed, and a key is known that would
}

TEST_F(OwnAuditLogTest, WithoutAFileAndWithoutKeydThereIsNothingToVerify) {
  connect_error_ = Error(ErrorCode::kUnreachable, "keyd is not on the bus");
  EXPECT_EQ(Run({"audit", "verify"}), ExitCode::kUnreachable);
  EXPECT_EQ(Run({"audit", "tail"}), ExitCode::kUnreachable);
}

TEST_F(OwnAuditLogTest, SignTellsHowFarTheSignatureReaches) {
  EXPECT_EQ(Run({"audit", "sign"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("signed up to record 2"));
}

TEST_F(OwnAuditLogTest, RestartAsksAndHasKeydDoIt) {
  EXPECT_EQ(Run({"audit", "restart"}), ExitCode::kNotConfirmed);
  keyd_answer_ = "/s/audit-former-2\n";
  EXPECT_EQ(Run({"audit", "restart", "--state", "/s", "--yes"}), ExitCode::kOk);
  EXPECT_THAT(keyd_run_, ::testing::ElementsAre("--state", "/s", "--restart-audit", "in /s"));
  EXPECT_THAT(out_.str(), EndsWith("\nThe former one is /s/audit-former-2.\n"));
}

TEST_F(OwnAuditLogTest, RestartTellsWhenThereWasNoLog) {
  keyd_answer_ = "\n";
  EXPECT_EQ(Run({"audit", "restart", "--state", "/s", "--yes"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), EndsWith("\nThere is no former one.\n"));
  EXPECT_EQ(Run({"audit", "restart", "--state", "/s", "--yes", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at("former"), nullptr);
}

TEST_F(OwnAuditLogTest, TheStatusTellsWhatIsWrong) {
  keyd_.status.audit = {.state = "full", .last = 4, .signed_through = 2, .unrecorded = 3};
  Run({"status"});
  EXPECT_THAT(out_.str(), HasSubstr("Audit log full: 4 records, signed up to 2; make room"));
  EXPECT_THAT(out_.str(), HasSubstr("3 events could not be recorded"));
}

}  // namespace
}  // namespace keyward::keyctl
