#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::KeyctlTest;

class SealCommandTest : public KeyctlTest {};

TEST_F(SealCommandTest, InitRunsKeydOnTheStateDirectory) {
  EXPECT_EQ(Run({"init", "--custodian", "tpm", "--pcr-authority", "a.pem", "--state", "/s",
                 "--config", "/c", "--adopt"}),
            ExitCode::kOk);
  EXPECT_THAT(keyd_run_, ElementsAre("--config", "/c", "--state", "/s", "--init", "tpm",
                                     "--pcr-authority", "a.pem", "--adopt", "in /s"));
  EXPECT_THAT(out_.str(), HasSubstr("The master key is made, in the TPM."));
  EXPECT_THAT(keyd_.calls, IsEmpty());
}

TEST_F(SealCommandTest, InitTellsWhatKeydSays) {
  keyd_error_ = Error(ErrorCode::kAlreadyExists, "there is a master key already");
  EXPECT_EQ(Run({"init", "--custodian", "hsm"}), ExitCode::kAlreadyExists);
  EXPECT_THAT(err_.str(), HasSubstr("cannot make the master key: there is a master key already"));
}

TEST_F(SealCommandTest, InitNeedsACustodian) {
  EXPECT_EQ(Run({"init"}), ExitCode::kUsage);
  EXPECT_EQ(Run({"init", "--custodian", "disk"}), ExitCode::kUsage);
  EXPECT_THAT(keyd_run_, IsEmpty());
}

TEST_F(SealCommandTest, SealingAsksAndTellsWhatEnded) {
  EXPECT_EQ(Run({"seal"}), ExitCode::kNotConfirmed);
  EXPECT_THAT(keyd_.calls, IsEmpty());
  EXPECT_EQ(Run({"seal", "--zeroize-all"}), ExitCode::kNotConfirmed);
  EXPECT_THAT(keyd_.calls, ElementsAre("ShowSeals"));
  keyd_.calls.clear();
  EXPECT_EQ(Run({"seal", "--yes"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "The service is sealed; 2 sessions ended.\n");
  EXPECT_EQ(Run({"seal", "--zeroize-all", "--yes", "--json"}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, ElementsAre("Seal", "ShowSeals", "ZeroizeAll"));
  EXPECT_TRUE(OutJson().at("recovery_seal").is_null());
}

TEST_F(SealCommandTest, ZeroizingTellsWhatARecoveryKeyWouldStillOpen) {
  keyd_.seals = {"hsm", "recovery", Bytes(32, 0xab), {}, ""};
  EXPECT_EQ(Run({"seal", "--zeroize-all"}), ExitCode::kNotConfirmed);
  EXPECT_THAT(out_.str(), HasSubstr("the recovery key of certificate abababababababab and a copy of"
                                    " the disk, would still open what is stored"));
  EXPECT_EQ(Run({"seal", "--zeroize-all", "--yes", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at("recovery_seal").get<std::string>().size(), 64U);
}

TEST_F(SealCommandTest, UnsealTellsWhyItStaysSealed) {
  EXPECT_EQ(Run({"unseal"}), ExitCode::kOk);
  keyd_.error = Error(ErrorCode::kPcrMismatch, "the PCRs are in no signed state");
  EXPECT_EQ(Run({"unseal"}), ExitCode::kHardware);
  EXPECT_THAT(err_.str(), HasSubstr("the PCRs are in no signed state"));
}

TEST_F(SealCommandTest, StatusOfASealedServiceTellsWhyAndHasAnExitCodeOfItsOwn) {
  keyd_.status.health = "sealed";
  keyd_.status.seal_code = "PcrMismatch";
  keyd_.status.seal_reason = "have the state signed";
  EXPECT_EQ(Run({"status"}), ExitCode::kSealed);
  EXPECT_THAT(out_.str(), HasSubstr("Sealed: have the state signed."));
  EXPECT_EQ(Run({"status", "--json"}), ExitCode::kSealed);
}

}  // namespace
}  // namespace keyward::keyctl
