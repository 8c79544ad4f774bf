#include "core/encoding.h"
#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::KeyctlTest;
using testing_support::kSomeKeyHex;
using testing_support::SomeKey;
using testing_support::TemporaryFile;

class StatusCommandTest : public KeyctlTest {
 protected:
  void SetUp() override {
    keyd_.status = {.version = "0.1.0",
                    .health = "ok",
                    .seal_code = "",
                    .seal_reason = "",
                    .secret_memory = "memfd_secret",
                    .custodians = {{.name = "hsm",
                                    .description = "SoftHSM v2",
                                    .state = "ok",
                                    .detail = "",
                                    .since = WallTime(std::chrono::seconds(1'781'535'999)),
                                    .resets = 2}},
                    .audit = {},
                    .sessions = 1,
                    .uptime = std::chrono::seconds(3725)};
  }
};

TEST_F(StatusCommandTest, ReadsAsASentenceAndATable) {
  EXPECT_EQ(Run({"status"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("keyd 0.1.0: ok, up 1 h 2 min, 1 live session, secrets in "
                                    "memfd_secret\n"));
  EXPECT_THAT(out_.str(), HasSubstr("hsm        ok     2026-06-15T15:06:39Z  2       SoftHSM v2"));
}

TEST_F(StatusCommandTest, IsJsonForScripts) {
  EXPECT_EQ(Run({"status", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at("uptime_seconds"), 3725);
  EXPECT_EQ(OutJson().at("custodians").at(0).at("state"), "ok");
}

TEST_F(StatusCommandTest, DegradedIsAnExitCodeOfItsOwn) {
  keyd_.status.health = "degraded";
  EXPECT_EQ(Run({"status"}), ExitCode::kHardware);
}

TEST_F(StatusCommandTest, WaitsOnlyWhenTold) {
  EXPECT_EQ(Run({"status"}), ExitCode::kOk);
  EXPECT_EQ(waited_.count(), 0);
  EXPECT_EQ(Run({"status", "--wait", "5"}), ExitCode::kOk);
  EXPECT_EQ(waited_, std::chrono::seconds(5));
}

TEST_F(StatusCommandTest, WaitRefusesATimeThatIsNone) {
  EXPECT_EQ(Run({"status", "--wait", "-3"}), ExitCode::kUsage);
  EXPECT_EQ(Run({"status", "--wait", "soon"}), ExitCode::kUsage);
}

TEST_F(StatusCommandTest, AKeydThatIsNotThereHasItsExitCodeAndRemedy) {
  connect_error_ = Error(ErrorCode::kUnreachable, "keyd is not running");
  EXPECT_EQ(Run({"status"}), ExitCode::kUnreachable);
  EXPECT_EQ(
      err_.str(),
      "keyctl: cannot tell the status of keyd: keyd is not running — start keyd, or see in its "
      "log why it ended; if its bus is not the system's, set DBUS_SYSTEM_BUS_ADDRESS\n");
}

class ModuleCommandTest : public KeyctlTest {
 protected:
  void SetUp() override {
    keyd_.modules = {{"frontend", "module", "frontend", std::string(64, 'a'), "enrolled", 1},
                     {"sensor", "peer", "", std::string(64, 'b'), "enrolled", 0}};
  }
};

TEST_F(ModuleCommandTest, ListShortensTheFingerprintForPeopleOnly) {
  EXPECT_EQ(Run({"module", "list"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("sensor    peer    -         bbbbbbbbbbbbbbbb  enrolled  0"));
  EXPECT_EQ(Run({"module", "list", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at(0).at("fingerprint"), std::string(64, 'a'));
}

TEST_F(ModuleCommandTest, EnrolGivesAModuleAKey) {
  EXPECT_EQ(Run({"module", "enrol", "frontend", "--identity", "id-key"}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, ElementsAre("EnrolModule frontend id-key"));
}

TEST_F(ModuleCommandTest, EnrolReadsAPeersKeyInEveryForm) {
  const PublicKey key = SomeKey();
  const std::string enrolled = "EnrolPeer sensor " + ToHex(key.spki());
  const TemporaryFile pem(key.ToPem());
  for (const std::string& form : {pem.path(), std::string(kSomeKeyHex), ToHex(key.spki())}) {
    EXPECT_EQ(Run({"module", "enrol", "sensor", "--peer-key", form}), ExitCode::kOk) << form;
    EXPECT_EQ(keyd_.calls.back(), enrolled);
  }
}

TEST_F(ModuleCommandTest, EnrolRefusesAPeersKeyThatIsNone) {
  const TemporaryFile nonsense("no key\n");
  EXPECT_EQ(Run({"module", "enrol", "sensor", "--peer-key", nonsense.path()}), ExitCode::kFailure);
  EXPECT_EQ(Run({"module", "enrol", "sensor", "--peer-key", "abcd"}), ExitCode::kFailure);
  EXPECT_EQ(Run({"module", "enrol", "sensor", "--peer-key", "/does/not/exist"}), ExitCode::kUsage);
  EXPECT_THAT(keyd_.calls, IsEmpty());
}

TEST_F(ModuleCommandTest, EnrolTakesOneIdentity) {
  EXPECT_EQ(Run({"module", "enrol", "x"}), ExitCode::kUsage);
  EXPECT_EQ(Run({"module", "enrol", "x", "--identity", "k", "--peer-key", "f"}), ExitCode::kUsage);
}

TEST_F(ModuleCommandTest, RemoveKnowsModulesFromPeers) {
  EXPECT_EQ(Run({"module", "remove", "frontend", "--yes"}), ExitCode::kOk);
  EXPECT_EQ(keyd_.calls.back(), "RemoveModule frontend");
  EXPECT_EQ(Run({"module", "remove", "sensor", "--yes"}), ExitCode::kOk);
  EXPECT_EQ(keyd_.calls.back(), "RemovePeer sensor");
  EXPECT_EQ(Run({"module", "remove", "nobody", "--yes"}), ExitCode::kNotFound);
}

TEST_F(ModuleCommandTest, RemoveAsks) {
  EXPECT_EQ(Run({"module", "remove", "frontend"}), ExitCode::kNotConfirmed);
  EXPECT_THAT(keyd_.calls, IsEmpty());
}

class SessionsCommandTest : public KeyctlTest {
 protected:
  void SetUp() override {
    keyd_.sessions = {{.id = "/org/keyward/Keyd1/session/7",
                       .module = "frontend",
                       .key = "frontend",
                       .key_version = 2,
                       .peer = "backend",
                       .protocol = "aico",
                       .role = "initiator",
                       .state = "established",
                       .expires_in = std::chrono::seconds(3600),
                       .sealed = 12,
                       .opened = 9}};
  }
};

TEST_F(SessionsCommandTest, ListShowsShortIds) {
  EXPECT_EQ(Run({"sessions", "list"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("7   frontend  backend  initiator  frontend v2  established  "
                                    "1 h         12      9\n"));
}

TEST_F(SessionsCommandTest, ListCanBeOfOneModule) {
  EXPECT_EQ(Run({"sessions", "list", "--module", "backend", "--json"}), ExitCode::kOk);
  EXPECT_THAT(OutJson(), IsEmpty());
  EXPECT_EQ(Run({"sessions", "list", "--module", "frontend", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at(0).at("path"), "/org/keyward/Keyd1/session/7");
}

TEST_F(SessionsCommandTest, EndTakesANumberAPathAModuleOrAll) {
  EXPECT_EQ(Run({"sessions", "end", "7", "--yes"}), ExitCode::kOk);
  EXPECT_EQ(Run({"sessions", "end", "/org/keyward/Keyd1/session/8", "--yes"}), ExitCode::kOk);
  EXPECT_EQ(Run({"sessions", "end", "--module", "frontend", "--yes"}), ExitCode::kOk);
  EXPECT_EQ(Run({"sessions", "end", "--all", "--yes"}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, ElementsAre("EndSession /org/keyward/Keyd1/session/7",
                                       "EndSession /org/keyward/Keyd1/session/8",
                                       "EndSessionsOf frontend", "EndAllSessions"));
}

TEST_F(SessionsCommandTest, EndAsks) {
  EXPECT_EQ(Run({"sessions", "end", "7"}), ExitCode::kNotConfirmed);
  EXPECT_EQ(Run({"sessions", "end", "--all", "--json"}), ExitCode::kNotConfirmed);
  terminal_ = true;
  in_.str("n\ny\n");
  EXPECT_EQ(Run({"sessions", "end", "--module", "frontend"}), ExitCode::kNotConfirmed);
  EXPECT_THAT(err_.str(), HasSubstr("About to end the sessions of 'frontend': "));
  EXPECT_THAT(keyd_.calls, IsEmpty());
  EXPECT_EQ(Run({"sessions", "end", "--module", "frontend"}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, ElementsAre("EndSessionsOf frontend"));
}

TEST_F(SessionsCommandTest, EndNeedsToKnowWhich) {
  EXPECT_EQ(Run({"sessions", "end"}), ExitCode::kUsage);
  EXPECT_EQ(Run({"sessions", "end", "7", "--all"}), ExitCode::kUsage);
}

class PolicyCommandTest : public KeyctlTest {};

TEST_F(PolicyCommandTest, CheckTellsEachProblemWithItsPlace) {
  const TemporaryFile file("version: 1\nmodulles: {}\nadmins: {users: [nobody-here]}\n");
  EXPECT_EQ(Run({"policy", "check", file.path()}), ExitCode::kConfiguration);
  EXPECT_THAT(err_.str(), HasSubstr(file.path() + ":2:1: "));
  EXPECT_THAT(err_.str(), HasSubstr(file.path() + ":3:"));
  EXPECT_EQ(Run({"policy", "check", file.path(), "--json"}), ExitCode::kConfiguration);
  EXPECT_EQ(OutJson().at("valid"), false);
  EXPECT_EQ(OutJson().at("problems").at(0).at("line"), 2);
}

TEST_F(PolicyCommandTest, CheckPraisesAValidFile) {
  const TemporaryFile file("version: 1\nmodules: {frontend: {users: [root]}}\n");
  EXPECT_EQ(Run({"policy", "check", file.path()}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), file.path() + " is valid: 1 module.\n");
  EXPECT_EQ(Run({"policy", "check", file.path(), "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at("valid"), true);
}

TEST_F(PolicyCommandTest, CheckNeedsNoKeyd) {
  connect_error_ = Error(ErrorCode::kUnreachable, "keyd is not running");
  EXPECT_EQ(Run({"policy", "check", "/does/not/exist"}), ExitCode::kUsage);
  EXPECT_THAT(err_.str(), HasSubstr("there is no such file"));
  EXPECT_EQ(Run({"policy", "check", "/"}), ExitCode::kUsage);
  EXPECT_THAT(err_.str(), HasSubstr("that is a directory"));
}

TEST_F(PolicyCommandTest, ReloadPassesTheProblemsOn) {
  EXPECT_EQ(Run({"policy", "reload"}), ExitCode::kOk);
  keyd_.error = Error(ErrorCode::kConfiguration, "line 7: unknown purpose 'tls'");
  EXPECT_EQ(Run({"policy", "reload"}), ExitCode::kConfiguration);
  EXPECT_THAT(err_.str(), HasSubstr("line 7: unknown purpose 'tls'"));
}

}  // namespace
}  // namespace keyward::keyctl
