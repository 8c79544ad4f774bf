#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using testing_support::KeyctlTest;
using testing_support::SomeKey;

class KeyCommandTest : public KeyctlTest {
 protected:
  void SetUp() override {
    const PublicKey key = SomeKey();
    pem_ = key.ToPem();
    keyd_.keys = {{"frontend", "ed25519", "hardware", "hsm", "active", 2}};
    keyd_.details = {.name = "frontend",
                     .algorithm = "ed25519",
                     .custody = "hardware",
                     .custodian = "hsm",
                     .spki = key.spki(),
                     .versions = {{.number = 1,
                                   .state = "retiring",
                                   .spki = key.spki(),
                                   .created = WallTime(std::chrono::seconds(0)),
                                   .activated = WallTime(std::chrono::seconds(0)),
                                   .retire_at = WallTime(std::chrono::hours(48)),
                                   .uses = 7},
                                  {.number = 2,
                                   .state = "active",
                                   .spki = key.spki(),
                                   .created = WallTime(std::chrono::hours(24)),
                                   .activated = WallTime(std::chrono::hours(24)),
                                   .retire_at = std::nullopt,
                                   .uses = 0}}};
  }
  std::string pem_;
};

TEST_F(KeyCommandTest, ListIsATable) {
  EXPECT_EQ(Run({"key", "list"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(),
            "NAME      ALGORITHM  CUSTODY   CUSTODIAN  STATE   VERSIONS\n"
            "frontend  ed25519    hardware  hsm        active  2\n");
}

TEST_F(KeyCommandTest, ListIsJsonForScripts) {
  EXPECT_EQ(Run({"key", "list", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson(), nlohmann::json::parse(R"([{"name": "frontend", "algorithm": "ed25519",
      "custody": "hardware", "custodian": "hsm", "state": "active", "versions": 2}])"));
}

TEST_F(KeyCommandTest, JsonMayStandBeforeTheCommand) {
  EXPECT_EQ(Run({"--json", "key", "list"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().size(), 1U);
}

TEST_F(KeyCommandTest, AnEmptyListSaysHowToGoOn) {
  keyd_.keys.clear();
  EXPECT_EQ(Run({"key", "list"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("keyctl key generate"));
  EXPECT_EQ(Run({"key", "list", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson(), nlohmann::json::array());
}

TEST_F(KeyCommandTest, ShowTellsTheVersions) {
  EXPECT_EQ(Run({"key", "show", "frontend"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("1        retiring  1970-01-01T00:00:00Z"));
  EXPECT_THAT(out_.str(), HasSubstr("2        active    1970-01-02T00:00:00Z"));
}

TEST_F(KeyCommandTest, ShowPemPrintsTheKeyAndNothingElse) {
  EXPECT_EQ(Run({"key", "show", "frontend", "--pem"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), pem_);
}

TEST_F(KeyCommandTest, ShowPrintsTheKeysOfAllVersions) {
  EXPECT_EQ(Run({"key", "show", "frontend", "--pem", "--all"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), pem_ + pem_);
  EXPECT_EQ(Run({"key", "show", "frontend", "--all"}), ExitCode::kUsage);
}

TEST_F(KeyCommandTest, ShowOfAVersionThatIsNotThereIsNotFound) {
  EXPECT_EQ(Run({"key", "show", "frontend", "--version", "9"}), ExitCode::kNotFound);
  EXPECT_THAT(err_.str(), StartsWith("keyctl: cannot show key 'frontend': "));
}

TEST_F(KeyCommandTest, AVersionIsANumberOf32Bits) {
  for (const char* wrong : {"-1", "0", "4294967296", "x"}) {
    EXPECT_EQ(Run({"key", "show", "frontend", "--version", wrong}), ExitCode::kUsage);
    EXPECT_THAT(err_.str(), HasSubstr("4294967295")) << wrong;
  }
}

TEST_F(KeyCommandTest, ShowPemOfAKeyWithoutAnActiveVersionIsNotFound) {
  keyd_.details.spki.clear();
  EXPECT_EQ(Run({"key", "show", "frontend", "--pem"}), ExitCode::kNotFound);
  EXPECT_THAT(out_.str(), IsEmpty());
}

TEST_F(KeyCommandTest, GenerateSaysEd25519InHardwareUnlessTold) {
  EXPECT_EQ(Run({"key", "generate", "frontend", "--custodian", "hsm"}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, ElementsAre("GenerateKey frontend ed25519 hardware hsm"));
}

TEST_F(KeyCommandTest, GenerateTakesTheOnlyCustodianThereIs) {
  keyd_.status.custodians = {{"tpm", "", "ok", "", {}, 0}};
  EXPECT_EQ(Run({"key", "generate", "web", "--algorithm", "ecdsa-p256", "--json"}), ExitCode::kOk);
  EXPECT_EQ(keyd_.calls.back(), "GenerateKey web ecdsa-p256 hardware tpm");
  EXPECT_EQ(OutJson().at("public_key"), pem_);
}

TEST_F(KeyCommandTest, GenerateDoesNotGuessBetweenTwoCustodians) {
  keyd_.status.custodians = {{"hsm", "", "ok", "", {}, 0}, {"tpm", "", "ok", "", {}, 0}};
  EXPECT_EQ(Run({"key", "generate", "web"}), ExitCode::kUsage);
  EXPECT_THAT(err_.str(), HasSubstr("--custodian hsm or tpm"));
}

TEST_F(KeyCommandTest, GenerateLooksForNoCustodianOfADerivedKey) {
  keyd_.status.custodians = {{"hsm", "", "ok", "", {}, 0}, {"tpm", "", "ok", "", {}, 0}};
  EXPECT_EQ(Run({"key", "generate", "web", "--custody", "derived"}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, ElementsAre("GenerateKey web ed25519 derived "));
  EXPECT_THAT(out_.str(), StartsWith("Made web: ed25519, derived from the master key, "));
}

TEST_F(KeyCommandTest, ADerivedKeyIsShownWithoutCustodian) {
  keyd_.keys[0].custody = keyd_.details.custody = "derived";
  keyd_.keys[0].custodian = keyd_.details.custodian = "";
  EXPECT_EQ(Run({"key", "list"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("frontend  ed25519    derived  -          active"));
  EXPECT_EQ(Run({"key", "show", "frontend"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("frontend: ed25519, derived from the master key\n"));
  EXPECT_EQ(Run({"key", "show", "frontend", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at("custodian"), "");
}

TEST_F(KeyCommandTest, GenerateRefusesAnAlgorithmThatIsNone) {
  EXPECT_EQ(Run({"key", "generate", "web", "--algorithm", "dsa"}), ExitCode::kUsage);
  EXPECT_THAT(keyd_.calls, IsEmpty());
}

TEST_F(KeyCommandTest, RotateTellsTheNewVersion) {
  EXPECT_EQ(Run({"key", "rotate", "frontend", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson(), nlohmann::json::parse(R"({"name": "frontend", "version": 2})"));
}

TEST_F(KeyCommandTest, RevokeWithoutATerminalNeedsYes) {
  EXPECT_EQ(Run({"key", "revoke", "frontend"}), ExitCode::kNotConfirmed);
  EXPECT_THAT(err_.str(), HasSubstr("--yes"));
  EXPECT_THAT(keyd_.calls, IsEmpty());
  EXPECT_EQ(Run({"key", "revoke", "frontend", "--yes"}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, ElementsAre("RevokeKey frontend all"));
  EXPECT_EQ(out_.str(), "frontend is revoked; 2 sessions ended.\n");
}

TEST_F(KeyCommandTest, RevokeOnATerminalAsks) {
  terminal_ = true;
  in_.str("n\n");
  EXPECT_EQ(Run({"key", "revoke", "frontend"}), ExitCode::kNotConfirmed);
  EXPECT_THAT(keyd_.calls, IsEmpty());
  in_.str("y\n");
  EXPECT_EQ(Run({"key", "revoke", "frontend", "--version", "1"}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, ElementsAre("RevokeKey frontend 1"));
  EXPECT_EQ(out_.str(), "Version 1 of frontend is revoked; 2 sessions ended.\n");
}

TEST_F(KeyCommandTest, EndOfInputIsNoConfirmation) {
  terminal_ = true;
  EXPECT_EQ(Run({"key", "destroy", "frontend"}), ExitCode::kNotConfirmed);
  EXPECT_THAT(keyd_.calls, IsEmpty());
}

TEST_F(KeyCommandTest, JsonNeverAsks) {
  terminal_ = true;
  in_.str("y\n");
  EXPECT_EQ(Run({"key", "destroy", "frontend", "--json"}), ExitCode::kNotConfirmed);
  EXPECT_EQ(ErrorJson().at("exit_code"), 9);
  EXPECT_THAT(keyd_.calls, IsEmpty());
}

TEST_F(KeyCommandTest, DestroyTellsHowManySessionsEnded) {
  keyd_.ended = 1;
  EXPECT_EQ(Run({"key", "destroy", "frontend", "-y"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "frontend is destroyed; 1 session ended.\n");
}

TEST_F(KeyCommandTest, ColourIsForTerminalsAlone) {
  EXPECT_EQ(Run({"key", "list"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), Not(HasSubstr("\x1b")));
  color_ = true;
  EXPECT_EQ(Run({"key", "list"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\x1b[32mactive\x1b[0m"));
}

}  // namespace
}  // namespace keyward::keyctl
