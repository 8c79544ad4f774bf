#include <sys/stat.h>

#include "core/file.h"
#include "keyctl/backup_report.h"
#include "keyctl/secret_input.h"
#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing_support::FailsWith;
using testing_support::KeyctlTest;
using testing_support::SomeKey;
using testing_support::TemporaryFile;

const std::string kFingerprint = ToHex(SomeKey().Fingerprint());

// What keyd says of a backup with one sealed and one hardware key.
std::string Report(const std::string& restored = "") {
  return R"({"id":"0102030405060708090a0b0c0d0e0f10","created_ms":1750000000000,"service":"abcd",)"
         R"("host":"alpha","keyd":"0.1.0","master":"hsm","epoch":3,"digest":"aa","origin":"bb","signed_by":"cafe",)"
         R"("keys":[{"name":"frontend","algorithm":"ed25519","custody":"sealed","custodian":"hsm",)"
         R"("versions":[{"number":1,"state":"active","fingerprint":")" +
         kFingerprint +
         R"(","private_half":true}]},{"name":"web","algorithm":"ecdsa-p256","custody":"hardware",)"
         R"("custodian":"hsm","versions":[{"number":1,"state":"active","fingerprint":"ffff",)"
         R"("private_half":false}]}],"modules":[{"name":"m","key":"frontend"}],"peers":[])" +
         restored + "}";
}

const std::string kLost =
    R"(,"restored":{"keys":[{"name":"frontend","custodian":"hsm"}],"left_out":[{"name":"web",)"
    R"("version":1,"fingerprint":"ffff"}],"unenrolled":[{"name":"nginx","key":"web"}]})";

VersionSummary Version(uint32_t number, const std::string& state) {
  VersionSummary version;
  version.number = number;
  version.state = state;
  version.spki = SomeKey().spki();
  return version;
}

class BackupCommandTest : public KeyctlTest {
 protected:
  void SetUp() override {
    keyd_answer_ = Report();
    keyd_.keys.resize(1);
    keyd_.keys[0].name = "frontend";
    keyd_.details.versions = {Version(1, "active")};
    keyd_.modules = {{"m", "module", "frontend", kFingerprint, "enrolled", 0},
                     {"idle", "module", "", "", "not enrolled", 0}};
    keyd_.check.own = true;
    keyd_.check.latest = FromHex("0102030405060708090a0b0c0d0e0f10").value();
    keyd_.check.custodians = {{"hsm", "", "ok", "", {}, 0}};
    keyd_.backup = {.id = {7, 8},
                    .der = {1, 2, 3},
                    .held = {{"frontend", 1, "", ""}},
                    .left_out = {{"web", 1, "hsm", "ffff"}}};
  }
  std::string Output() const { return folder_.File("out"); }
  ExitCode Drill(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"backup", "drill", file_.path(), "--key", key_.path()};
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }
  ExitCode Restore(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"backup",    "restore",     file_.path(), "--key",
                                      key_.path(), "--custodian", "hsm",        "--state",
                                      "/s",        "--config",    "/c"};
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }
  // The drill above finds web, which the fake keyd has not: everything else is as it was.
  void HaveWebToo() {
    std::string report = Report();
    const size_t from = report.find(R"(,{"name":"web")");
    report.erase(from, report.find(R"(],"modules")") - from);
    keyd_answer_ = report;
  }

  testing_support::TempDir folder_;
  TemporaryFile certificate_{"a certificate\n"};
  TemporaryFile file_{"the backup"};
  TemporaryFile key_{"the key"};
};

TEST_F(BackupCommandTest, CreateWritesWhatKeydGivesForTheCertificates) {
  const TemporaryFile second("another\n");
  EXPECT_EQ(Run({"backup", "create", "--to", certificate_.path(), "--to", second.path(), "--output",
                 Output()}),
            ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, ElementsAre("CreateBackup a certificate\n\nanother\n\n"));
  EXPECT_EQ(ReadFile(Output(), 100).value().value(), (Bytes{1, 2, 3}));
  struct stat info{};
  ASSERT_EQ(stat(Output().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_THAT(out_.str(), HasSubstr("private halves of 1 key version"));
  EXPECT_THAT(out_.str(), HasSubstr("the hsm keeps it to itself: web version 1 (ffff)"));
}

TEST_F(BackupCommandTest, DrillAndRestoreTellWhatBecomesOfDerivedKeys) {
  const std::string sealed = R"("custody":"sealed","custodian":"hsm")";
  keyd_answer_ = Report(kLost);
  EXPECT_EQ(Drill(), ExitCode::kStale);
  EXPECT_THAT(out_.str(), Not(HasSubstr("what is derived")));
  keyd_answer_.replace(keyd_answer_.find(sealed), sealed.size(),
                       R"("custody":"derived","custodian":"")");
  EXPECT_EQ(Drill(), ExitCode::kStale);
  EXPECT_THAT(out_.str(), HasSubstr("with the same public keys: frontend\n"));
  EXPECT_EQ(Restore({"--yes"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("with the same public keys: frontend\n"));
}

TEST_F(BackupCommandTest, CreateTellsAScriptWhatIsNotInIt) {
  EXPECT_EQ(Run({"backup", "create", "--to", certificate_.path(), "--output", Output(), "--json"}),
            ExitCode::kOk);
  EXPECT_EQ(OutJson().at("id"), "0708");
  EXPECT_EQ(OutJson().at("private_halves"), 1);
  EXPECT_EQ(OutJson().at("left_out")[0].at("name"), "web");
}

TEST_F(BackupCommandTest, CreateReplacesNoFileUnlessForced) {
  ASSERT_OK(ReplaceFile(Output(), AsBytes("before")));
  EXPECT_EQ(Run({"backup", "create", "--to", certificate_.path(), "--output", Output()}),
            ExitCode::kAlreadyExists);
  EXPECT_THAT(keyd_.calls, IsEmpty());
  EXPECT_THAT(err_.str(), HasSubstr("--force"));
  EXPECT_EQ(Run({"backup", "create", "--to", certificate_.path(), "--output", Output(), "--force"}),
            ExitCode::kOk);
  EXPECT_EQ(ReadFile(Output(), 100).value().value(), (Bytes{1, 2, 3}));
}

// keyd would take it for the latest backup.
TEST_F(BackupCommandTest, NoBackupIsMadeThatCannotBeWritten) {
  const std::string link = folder_.File("link");
  ASSERT_EQ(symlink(Output().c_str(), link.c_str()), 0);
  for (const std::string& output :
       {link, folder_.path().string(), folder_.File("missing/out"), std::string("/dev/full")}) {
    EXPECT_EQ(Run({"backup", "create", "--to", certificate_.path(), "--output", output, "--force"}),
              ExitCode::kUsage)
        << output;
    EXPECT_THAT(err_.str(), HasSubstr("'" + output + "' cannot be written"));
  }
  EXPECT_THAT(keyd_.calls, IsEmpty());
}

TEST_F(BackupCommandTest, CreateLeavesNoFileWhenKeydRefuses) {
  keyd_.error = Error(ErrorCode::kExpired, "the certificate has expired");
  EXPECT_EQ(Run({"backup", "create", "--to", certificate_.path(), "--output", Output()}),
            ExitCode::kFailure);
  EXPECT_THAT(err_.str(), HasSubstr("make another certificate"));
  EXPECT_FALSE(FileExists(Output()).value());
}

TEST_F(BackupCommandTest, TheDrillHandsFilesOverAsDescriptorsAndAsksTheRunningKeyd) {
  HaveWebToo();
  EXPECT_EQ(Drill({"--state", "/s", "--config", "/c"}), ExitCode::kOk);
  EXPECT_THAT(keyd_run_, ElementsAre("--config", "/c", "--state", "/s", "--backup", "show",
                                     "--backup-fd", "3", "--recovery-key-fd", "4", "in /s"));
  EXPECT_THAT(given_, ElementsAre("the backup", "the key"));
  EXPECT_THAT(keyd_.calls, Contains("CheckBackup aa bb"));
  EXPECT_THAT(out_.str(), HasSubstr("Nothing has changed since it was made."));
  EXPECT_THAT(out_.str(), HasSubstr("It is the latest one that was made."));
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(BackupCommandTest, ThePassphraseOfAnEncryptedKeyIsAskedForAndPiped) {
  HaveWebToo();
  ASSERT_OK(ReplaceFile(key_.path(), AsBytes("-----BEGIN ENCRYPTED PRIVATE KEY-----")));
  EXPECT_EQ(Drill(), ExitCode::kOk);
  EXPECT_THAT(asked_, ElementsAre("Passphrase of the recovery key: "));
  EXPECT_THAT(keyd_run_, Contains("--passphrase-fd"));
  ASSERT_EQ(given_.size(), 3U);
  EXPECT_EQ(given_[2], "typed");
}

TEST_F(BackupCommandTest, APassphraseFileIsReadInsteadOfAsking) {
  HaveWebToo();
  ASSERT_OK(ReplaceFile(key_.path(), AsBytes("-----BEGIN ENCRYPTED PRIVATE KEY-----")));
  const TemporaryFile passphrase("from a file\n");
  EXPECT_EQ(Drill({"--passphrase-file", passphrase.path()}), ExitCode::kOk);
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_EQ(given_[2], "from a file\n");
}

TEST_F(BackupCommandTest, TheDrillTellsEachChange) {
  keyd_.details.versions[0].state = "revoked";
  keyd_.details.versions.push_back(Version(2, "active"));
  keyd_.modules[0].key = "other";
  keyd_.modules.push_back({"far", "peer", "", "eeee", "enrolled", 0});
  EXPECT_EQ(Drill({"--json"}), ExitCode::kStale);
  EXPECT_EQ(OutJson().at("stale"), true);
  EXPECT_EQ(OutJson().at("latest"), true);
  EXPECT_THAT(OutJson().at("changes").get<std::vector<std::string>>(),
              ElementsAre("key 'frontend' version 1 is revoked; in the backup it is active",
                          "key 'frontend' version 2 was made", "key 'web' version 1 is gone",
                          "module 'm' was enrolled", "peer 'far' was enrolled"));
  EXPECT_EQ(OutJson().at("not_in_backup")[0].at("name"), "web");
}

// keyd lists it no longer.
TEST_F(BackupCommandTest, WhatWasDestroyedBeforeMakesNoBackupStale) {
  const std::string web = R"("custodian":"hsm","versions":[{"number":1,"state":)";
  keyd_answer_.replace(keyd_answer_.rfind(web), web.size() + std::string_view("\"active\"").size(),
                       web + "\"destroyed\"");
  EXPECT_EQ(Drill(), ExitCode::kOk) << out_.str();
}

// keyd makes it by itself, and the first backup does.
TEST_F(BackupCommandTest, ThatTheServiceKeyWasMadeMakesNoBackupStale) {
  HaveWebToo();
  keyd_.keys.resize(2);
  keyd_.keys[1].name = "keyward-service";
  EXPECT_EQ(Drill(), ExitCode::kOk);
}

TEST_F(BackupCommandTest, AnotherKeyUnderTheSameNumberIsAChange) {
  HaveWebToo();
  keyd_answer_.replace(keyd_answer_.find(kFingerprint), 4, "0000");
  EXPECT_EQ(Drill(), ExitCode::kStale);
  EXPECT_THAT(out_.str(), HasSubstr("key 'frontend' version 1 is another key"));
}

TEST_F(BackupCommandTest, ALaterBackupMakesThisOneStale) {
  HaveWebToo();
  keyd_.check.latest = {9, 9};
  EXPECT_EQ(Drill(), ExitCode::kStale);
  EXPECT_THAT(out_.str(), HasSubstr("A later one was made: 0909"));
  keyd_.check.latest.clear();
  EXPECT_EQ(Drill(), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("not known"));
}

TEST_F(BackupCommandTest, HardwareThatCannotSealFailsTheDrill) {
  HaveWebToo();
  keyd_.check.custodians.push_back({"tpm", "", "CustodianUnavailable", "it is away", {}, 0});
  EXPECT_EQ(Drill(), ExitCode::kHardware);
  EXPECT_THAT(out_.str(), HasSubstr("The tpm cannot seal what is in it: it is away"));
}

TEST_F(BackupCommandTest, HardwareThatWasNotTriedFailsNoDrill) {
  HaveWebToo();
  keyd_.check.custodians.push_back({"tpm", "", "untried", "it has sealed no key so far", {}, 0});
  EXPECT_EQ(Drill(), ExitCode::kOk);
  EXPECT_THAT(out_.str(),
              HasSubstr("Whether the tpm can seal was not tried: it has sealed no key so far."));
}

TEST_F(BackupCommandTest, ABackupOfAnotherServiceFailsTheDrill) {
  keyd_.check.own = false;
  EXPECT_EQ(Drill(), ExitCode::kFailure);
  EXPECT_THAT(err_.str(), HasSubstr("this service has not made it"));
}

TEST_F(BackupCommandTest, WithoutAKeydTheDrillIsNotPassed) {
  connect_error_ = Error(ErrorCode::kUnreachable, "no keyd");
  EXPECT_EQ(Drill(), ExitCode::kUnreachable);
}

TEST_F(BackupCommandTest, ElsewhereTheDrillRehearsesWithThatHardware) {
  keyd_answer_ = Report(kLost);
  connect_error_ = Error(ErrorCode::kUnreachable, "no keyd");
  EXPECT_EQ(Drill({"--elsewhere", "--custodian", "tpm", "--pcr-authority", "a.pem"}),
            ExitCode::kOk);
  EXPECT_THAT(keyd_run_, Contains("rehearse"));
  EXPECT_THAT(keyd_run_, Contains("a.pem"));
  EXPECT_THAT(out_.str(), HasSubstr("This hardware does not have: web version 1 (ffff)"));
  EXPECT_EQ(Drill({"--elsewhere"}), ExitCode::kUsage);
  EXPECT_EQ(Drill({"--custodian", "tpm"}), ExitCode::kUsage);
}

TEST_F(BackupCommandTest, WhatKeydRefusesIsTold) {
  keyd_error_ = Error(ErrorCode::kDataCorrupt, "the backup was altered");
  EXPECT_EQ(Drill(), ExitCode::kFailure);
  EXPECT_THAT(err_.str(), HasSubstr("the backup was altered — use the right file and key"));
}

TEST_F(BackupCommandTest, AnAnswerOfAnotherKeydIsRefused) {
  for (const char* answer : {"", "[]", "{}", "nonsense", R"({"id":1})"}) {
    keyd_answer_ = answer;
    EXPECT_EQ(Drill(), ExitCode::kFailure) << answer;
    EXPECT_THAT(ParseBackupReport(answer), FailsWith(ErrorCode::kInternal));
  }
}

TEST_F(BackupCommandTest, RestoreShowsWhatItIsAndAsks) {
  EXPECT_EQ(Restore(), ExitCode::kNotConfirmed);
  EXPECT_THAT(keyd_run_, Contains("show"));
  EXPECT_THAT(keyd_run_, Not(Contains("--init")));
  EXPECT_THAT(out_.str(), HasSubstr("made 2025-06-15T15:06:40Z by keyd 0.1.0 on alpha"));
  EXPECT_THAT(out_.str(), HasSubstr(kFingerprint));
  EXPECT_THAT(out_.str(), HasSubstr("Signed by key cafe"));
}

TEST_F(BackupCommandTest, RestoreTellsWhatIsLost) {
  terminal_ = true;
  in_.str("y\n");
  keyd_answer_ = Report(kLost);
  EXPECT_EQ(Restore(), ExitCode::kOk);
  EXPECT_THAT(keyd_run_,
              ElementsAre("--config", "/c", "--state", "/s", "--backup", "restore", "--backup-fd",
                          "3", "--recovery-key-fd", "4", "--init", "hsm", "in /s"));
  EXPECT_THAT(out_.str(), HasSubstr("web version 1 (ffff)"));
  EXPECT_THAT(out_.str(), HasSubstr("Not enrolled any more, as its key is lost: nginx"));
  EXPECT_THAT(err_.str(), HasSubstr("What was revoked after it was made comes back"));
}

TEST_F(BackupCommandTest, RestoreNeedsACustodianAndReadableFiles) {
  EXPECT_EQ(Run({"backup", "restore", file_.path(), "--key", key_.path()}), ExitCode::kUsage);
  EXPECT_EQ(Run({"backup", "restore", "/nowhere", "--key", key_.path(), "--custodian", "hsm"}),
            ExitCode::kUsage);
  EXPECT_EQ(Run({"backup", "restore", file_.path(), "--key", "/nowhere", "--custodian", "hsm"}),
            ExitCode::kUsage);
  EXPECT_THAT(keyd_run_, IsEmpty());
}

// What a stranger has written as a host's name cannot drive the terminal.
TEST_F(BackupCommandTest, ForeignTextIsMadeHarmless) {
  keyd_answer_.replace(keyd_answer_.find("alpha"), 5, "\\u001b[2J");
  EXPECT_EQ(Restore(), ExitCode::kNotConfirmed);
  EXPECT_THAT(out_.str(), Not(HasSubstr("\x1b")));
}

TEST(SecretInputTest, ASecretGoesThroughAPipeOnce) {
  const SecretBytes secret = SecretBytes::CopyOf(AsBytes("between us")).value();
  ASSERT_OK_AND_ASSIGN(const UniqueFd pipe, PipeWith(secret));
  EXPECT_THAT(testing_support::ContentsOf({pipe.get(), pipe.get()}), ElementsAre("between us", ""));
}

TEST(SecretInputTest, AFileIsReadUpToItsLimit) {
  const TemporaryFile file("12345");
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, ReadSecretFile(file.path(), 5));
  EXPECT_TRUE(secret.Equals(AsBytes("12345")));
  EXPECT_THAT(ReadSecretFile(file.path(), 4), FailsWith(ErrorCode::kTooLarge));
  EXPECT_THAT(ReadSecretFile(TemporaryFile("").path(), 4), FailsWith(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace keyward::keyctl
