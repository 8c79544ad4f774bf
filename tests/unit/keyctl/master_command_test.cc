#include "core/file.h"
#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing_support::KeyctlTest;
using testing_support::SomeKey;
using testing_support::TemporaryFile;

std::string Report(const std::string& answers = "false", const std::string& second = "",
                   const std::string& leftovers = "") {
  return R"({"opened_by":"hsm","former":"tpm","former_answers":)" + answers +
         R"(,"custodian":"hsm","epoch":42,"last_change_ms":1750000000000,"audit_record":7,)"
         R"("lost":[{"name":"web","version":3,"custody":"hardware","custodian":"tpm",)"
         R"("fingerprint":"ffff"}],"second":")" +
         second + R"(","leftovers":[)" + leftovers + "]}";
}

class MasterCommandTest : public KeyctlTest {
 protected:
  void SetUp() override {
    keyd_.seals = {"tpm", "hsm", {}, WallTime(std::chrono::milliseconds(1'750'000'000'000)), ""};
    keyd_answer_ = Report();
  }
  ExitCode Reseal(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"master",  "reseal", "--custodian", "hsm",
                                      "--state", "/s",     "--config",    "/c"};
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }
};

TEST_F(MasterCommandTest, SealsInTheOtherCustodian) {
  EXPECT_EQ(Run({"master", "seal", "--custodian", "hsm"}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, ElementsAre("MakeSecondSeal hsm ", "ShowSeals"));
  EXPECT_THAT(out_.str(), HasSubstr("The master key is in the TPM."));
  EXPECT_THAT(out_.str(), HasSubstr("A second seal is in the HSM, made 2025-06-15T15:06:40Z."));
}

TEST_F(MasterCommandTest, SealsForACertificateOrAnAuthority) {
  const TemporaryFile certificate("a certificate");
  EXPECT_EQ(Run({"master", "seal", "--to", certificate.path()}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, Contains("MakeSecondSeal recovery " + ToHex(AsBytes("a certificate"))));
  const TemporaryFile authority(SomeKey().ToPem());
  EXPECT_EQ(Run({"master", "seal", "--custodian", "tpm", "--pcr-authority", authority.path()}),
            ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, Contains("MakeSecondSeal tpm " + ToHex(SomeKey().spki())));
}

TEST_F(MasterCommandTest, SealNeedsOnePlace) {
  const TemporaryFile file("x");
  EXPECT_EQ(Run({"master", "seal"}), ExitCode::kUsage);
  EXPECT_EQ(Run({"master", "seal", "--custodian", "hsm", "--to", file.path()}), ExitCode::kUsage);
  EXPECT_EQ(Run({"master", "seal", "--pcr-authority", file.path()}), ExitCode::kUsage);
  EXPECT_EQ(Run({"master", "seal", "--to", "/nowhere"}), ExitCode::kUsage);
  EXPECT_THAT(keyd_.calls, IsEmpty());
  keyd_.error = Error(ErrorCode::kAlreadyExists, "there is a second seal already");
  EXPECT_EQ(Run({"master", "seal", "--custodian", "hsm"}), ExitCode::kAlreadyExists);
  EXPECT_THAT(err_.str(), HasSubstr("keyctl master show"));
}

TEST_F(MasterCommandTest, ShowTellsPeopleAndScripts) {
  EXPECT_EQ(Run({"master", "show", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at("custodian"), "tpm");
  EXPECT_EQ(OutJson().at("second").at("place"), "hsm");
  EXPECT_TRUE(OutJson().at("former").is_null());
  keyd_.seals = {"hsm", "recovery", {0xab, 0xcd}, {}, "tpm"};
  EXPECT_EQ(Run({"master", "show", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at("second").at("certificate"), "abcd");
  EXPECT_EQ(OutJson().at("former"), "tpm");
  EXPECT_EQ(Run({"master", "show"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("for the recovery certificate abcd"));
  EXPECT_THAT(out_.str(), HasSubstr("The TPM that had it before"));
  keyd_.seals.former = kRefusedFormer;
  EXPECT_EQ(Run({"master", "show"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("master-key.former in the state directory is not as keyd"));
  keyd_.seals = {"hsm", "tpm", SomeKey().spki(), {}, ""};
  EXPECT_EQ(Run({"master", "show"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("signed by " + ToHex(SomeKey().Fingerprint())));
  keyd_.seals = {"hsm", "", {}, {}, ""};
  EXPECT_EQ(Run({"master", "show"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("There is no second seal"));
  EXPECT_EQ(Run({"master", "show", "--json"}), ExitCode::kOk);
  EXPECT_TRUE(OutJson().at("second").is_null());
}

TEST_F(MasterCommandTest, ForgettingAsks) {
  EXPECT_EQ(Run({"master", "forget"}), ExitCode::kNotConfirmed);
  EXPECT_THAT(keyd_.calls, IsEmpty());
  EXPECT_EQ(Run({"master", "forget", "--yes"}), ExitCode::kOk);
  EXPECT_EQ(Run({"master", "forget", "--lost", "--yes", "--json"}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, ElementsAre("ForgetSecondSeal", "ForgetSecondSeal lost"));
  EXPECT_EQ(OutJson().at("forgotten"), true);
}

TEST_F(MasterCommandTest, ResealShowsWhatIsFoundAndAsks) {
  EXPECT_EQ(Reseal(), ExitCode::kNotConfirmed);
  EXPECT_THAT(keyd_run_, ElementsAre("--config", "/c", "--state", "/s", "--reseal", "show",
                                     "--init", "hsm", "in /s"));
  EXPECT_THAT(out_.str(), HasSubstr("of epoch 42"));
  EXPECT_THAT(out_.str(), HasSubstr("2025-06-15T15:06:40Z"));
  EXPECT_THAT(out_.str(), HasSubstr("nothing confirms that this is the latest state"));
  EXPECT_THAT(out_.str(), HasSubstr("Lost with the TPM: web version 3 (ffff)"));
}

TEST_F(MasterCommandTest, ResealMovesAndTellsWhatIsLeft) {
  keyd_answer_ = Report("false", "", R"("the second seal in the hsm")");
  EXPECT_EQ(Reseal({"--yes"}), ExitCode::kOk);
  EXPECT_THAT(keyd_run_, Contains("move"));
  EXPECT_THAT(out_.str(), HasSubstr("The master key is in the HSM. keyd can start now."));
  EXPECT_THAT(out_.str(), HasSubstr("Could not be destroyed: the second seal in the hsm"));
  EXPECT_THAT(out_.str(), HasSubstr("There is no second seal now"));
  EXPECT_EQ(Reseal({"--yes", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at("lost")[0].at("name"), "web");
  EXPECT_THAT(keyd_.calls, IsEmpty());
}

TEST_F(MasterCommandTest, ResealHandsTheRecoveryKeyOverInAPipe) {
  const TemporaryFile key("-----BEGIN ENCRYPTED PRIVATE KEY-----");
  EXPECT_EQ(Reseal({"--recovery-key", key.path(), "--yes"}), ExitCode::kOk);
  EXPECT_THAT(keyd_run_, Contains("--recovery-key-fd"));
  EXPECT_THAT(given_, ElementsAre("-----BEGIN ENCRYPTED PRIVATE KEY-----", "typed"));
  EXPECT_THAT(asked_, ElementsAre("Passphrase of the recovery key: "));
}

TEST_F(MasterCommandTest, AMoveFromHardwareThatAnswersSaysSo) {
  terminal_ = true;
  in_.str("y\n");
  keyd_answer_ = Report("true", "recovery");
  EXPECT_EQ(Reseal(), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("answers, and confirms that epoch"));
  EXPECT_THAT(err_.str(), HasSubstr("to destroy what the former holds of it"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("There is no second seal now")));
}

TEST_F(MasterCommandTest, ResealTellsWhatKeydRefusesAndAnAnswerThatIsNone) {
  keyd_error_ = Error(ErrorCode::kRolledBack, "state.db is an old copy");
  EXPECT_EQ(Reseal({"--yes"}), ExitCode::kFailure);
  EXPECT_THAT(err_.str(), HasSubstr("cannot reseal the master key: state.db is an old copy"));
  keyd_error_.reset();
  for (const char* answer : {"", "[]", "{}", "nonsense", R"({"opened_by":1})"}) {
    keyd_answer_ = answer;
    EXPECT_EQ(Reseal({"--yes"}), ExitCode::kFailure) << answer;
  }
  EXPECT_EQ(Run({"master", "reseal"}), ExitCode::kUsage);
}

}  // namespace
}  // namespace keyward::keyctl
