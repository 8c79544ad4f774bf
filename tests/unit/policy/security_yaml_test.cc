#include "policy/security_yaml.h"

#include "tests/support/matchers.h"
#include "tests/unit/policy/fake_names.h"

namespace keyward::policy {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing_support::FailsWith;

constexpr std::string_view kWhole = R"(# a comment
version: 1
admins: {users: [root], groups: [keyward-admin]}
hsm: {module: /usr/lib/softhsm/libsofthsm2.so, token: keyward, pin_file: /etc/keyward/hsm.pin}
tpm: {tcti: "device:/dev/tpmrm0"}
sessions: {session_timeout: 7200, max_sessions: 50}
modules:
  frontend:
    users: [frontend, 4242]
    groups: ["300"]
    keys:
      frontend-id: [aico]
      web: [tls13-server, raw]
    peers: [backend]
    sessions: {max_sessions: 10, handshake_timeout: 5}
  backend:
    users: [backend]
)";

TEST(SecurityYamlTest, EverySectionArrives) {
  ASSERT_OK_AND_ASSIGN(const Policy policy, ReadSecurityYaml(kWhole, FakeNames()));
  EXPECT_TRUE(policy.IsAdmin({.uid = 0, .gids = {}}));
  EXPECT_TRUE(policy.IsAdmin({.uid = 9, .gids = {200}}));
  ASSERT_TRUE(policy.hsm());
  EXPECT_EQ(policy.hsm()->module, "/usr/lib/softhsm/libsofthsm2.so");
  EXPECT_EQ(policy.hsm()->token, "keyward");
  EXPECT_EQ(policy.hsm()->pin_file, "/etc/keyward/hsm.pin");
  EXPECT_EQ(policy.hsm()->pin_credential, std::nullopt);
  ASSERT_TRUE(policy.tpm());
  EXPECT_EQ(policy.tpm()->tcti, "device:/dev/tpmrm0");
  EXPECT_THAT(policy.tpm()->attest_pcrs, ElementsAre(0, 2, 4, 7));
  EXPECT_EQ(policy.modules().size(), 2U);
}

TEST(SecurityYamlTest, TheAuditLogHasLimits) {
  ASSERT_OK_AND_ASSIGN(const Policy defaults, ReadSecurityYaml("version: 1\n", FakeNames()));
  EXPECT_EQ(defaults.audit(), AuditLimits());
  ASSERT_OK_AND_ASSIGN(
      const Policy policy,
      ReadSecurityYaml("version: 1\naudit: {max_size: 2097152, max_age: 3600, segment_size: 65536, "
                       "reserve: 131072, checkpoint_interval: 60}\n",
                       FakeNames()));
  EXPECT_EQ(policy.audit(), (AuditLimits{.max_size = 2097152,
                                         .max_age = seconds(3600),
                                         .segment_size = 65536,
                                         .reserve = 131072,
                                         .checkpoint_interval = seconds(60)}));
  for (const char* bad : {"{max_size: 1}", "{max_age: 1}", "{segment_size: 1}", "{reserve: 0}",
                          "{checkpoint_interval: 59}", "{size: 1048576}", "[]"}) {
    EXPECT_THAT(ReadSecurityYaml(std::string("version: 1\naudit: ") + bad + "\n", FakeNames()),
                FailsWith(ErrorCode::kConfiguration))
        << bad;
  }
}

TEST(SecurityYamlTest, KeysRotateByDefaultNeverAndRetireForADay) {
  ASSERT_OK_AND_ASSIGN(const Policy policy, ReadSecurityYaml("version: 1\n", FakeNames()));
  const RotationRules defaults{
      .max_age = std::nullopt, .max_uses = std::nullopt, .grace_period = seconds(86400)};
  EXPECT_EQ(policy.RotationOf("web"), defaults);
}

TEST(SecurityYamlTest, WhatAKeysOwnRotationLeavesOutComesFromTheTopLevel) {
  // Whichever of the two comes first in the file.
  for (const char* text :
       {"version: 1\n"
        "rotation: {max_age: 7776000, max_uses: 500, grace_period: 3600}\n"
        "keys: {web: {max_uses: 1000000}, old: {max_age: 60, grace_period: 0}}\n",
        "version: 1\n"
        "keys: {web: {max_uses: 1000000}, old: {max_age: 60, grace_period: 0}}\n"
        "rotation: {max_age: 7776000, max_uses: 500, grace_period: 3600}\n"}) {
    ASSERT_OK_AND_ASSIGN(const Policy policy, ReadSecurityYaml(text, FakeNames()));
    const RotationRules top{
        .max_age = seconds(7776000), .max_uses = 500, .grace_period = seconds(3600)};
    EXPECT_EQ(policy.RotationOf("another"), top);
    const RotationRules web{
        .max_age = seconds(7776000), .max_uses = 1000000, .grace_period = seconds(3600)};
    EXPECT_EQ(policy.RotationOf("web"), web);
    const RotationRules old{.max_age = seconds(60), .max_uses = 500, .grace_period = seconds(0)};
    EXPECT_EQ(policy.RotationOf("old"), old);
  }
}

TEST(SecurityYamlTest, RotationGoesToItsLimitsAndNoFurther) {
  const auto read = [](const std::string& rules) {
    return ReadSecurityYaml("version: 1\nrotation: " + rules + "\n", FakeNames());
  };
  ASSERT_OK_AND_ASSIGN(const Policy policy,
                       read("{max_age: 316224000, max_uses: 4294967295, grace_period: 316224000}"));
  EXPECT_EQ(policy.RotationOf("web"), (RotationRules{.max_age = seconds(316224000),
                                                     .max_uses = 4294967295,
                                                     .grace_period = seconds(316224000)}));
  EXPECT_OK(read("{max_age: 60, max_uses: 1, grace_period: 0}"));
  for (const char* bad :
       {"{max_age: 59}", "{max_age: 316224001}", "{max_uses: 0}", "{max_uses: 4294967296}",
        "{grace_period: 316224001}", "{grace_period: -1}", "{max_age: 90d}", "{age: 60}", "[]"}) {
    EXPECT_THAT(read(bad), FailsWith(ErrorCode::kConfiguration)) << bad;
    EXPECT_THAT(
        ReadSecurityYaml(std::string("version: 1\nkeys: {web: ") + bad + "}\n", FakeNames()),
        FailsWith(ErrorCode::kConfiguration))
        << bad;
  }
}

TEST(SecurityYamlTest, AModuleHasItsMembersKeysAndPeers) {
  ASSERT_OK_AND_ASSIGN(const Policy policy, ReadSecurityYaml(kWhole, FakeNames()));
  const Module* frontend = policy.FindModule("frontend");
  ASSERT_NE(frontend, nullptr);
  EXPECT_THAT(frontend->members.uids, ElementsAre(1001, 4242));
  EXPECT_THAT(frontend->members.gids, ElementsAre(300));
  EXPECT_THAT(frontend->keys,
              ElementsAre(Pair("frontend-id", ElementsAre(Purpose::kAico)),
                          Pair("web", ElementsAre(Purpose::kTls13Server, Purpose::kRaw))));
  EXPECT_THAT(frontend->peers, ElementsAre("backend"));
  const Module* backend = policy.FindModule("backend");
  ASSERT_NE(backend, nullptr);
  EXPECT_THAT(backend->keys, IsEmpty());
  EXPECT_THAT(backend->peers, IsEmpty());
}

TEST(SecurityYamlTest, LimitsComeFromTheModuleThenTheFileThenTheDefaults) {
  ASSERT_OK_AND_ASSIGN(const Policy policy, ReadSecurityYaml(kWhole, FakeNames()));
  const SessionLimits frontend{.session_timeout = seconds(7200),
                               .handshake_timeout = seconds(5),
                               .max_message_size = 16U << 20,
                               .max_sessions = 10};
  EXPECT_EQ(policy.FindModule("frontend")->limits, frontend);
  const SessionLimits backend{.session_timeout = seconds(7200),
                              .handshake_timeout = seconds(30),
                              .max_message_size = 16U << 20,
                              .max_sessions = 50};
  EXPECT_EQ(policy.FindModule("backend")->limits, backend);
}

TEST(SecurityYamlTest, TheOrderOfSectionsIsFree) {
  ASSERT_OK_AND_ASSIGN(const Policy policy, ReadSecurityYaml(R"(
modules: {m: {users: [0]}}
sessions: {max_sessions: 7}
version: 1
)",
                                                             FakeNames()));
  EXPECT_EQ(policy.FindModule("m")->limits.max_sessions, 7U);
}

TEST(SecurityYamlTest, AVersionAloneIsAPolicyThatDeniesAll) {
  ASSERT_OK_AND_ASSIGN(const Policy policy, ReadSecurityYaml("version: 1\n", FakeNames()));
  EXPECT_FALSE(policy.hsm());
  EXPECT_FALSE(policy.tpm());
  EXPECT_THAT(policy.modules(), IsEmpty());
  EXPECT_FALSE(policy.IsAdmin({.uid = 0, .gids = {0}}));
}

TEST(SecurityYamlTest, ThePcrsToAttestMayBeNamed) {
  ASSERT_OK_AND_ASSIGN(
      const Policy policy,
      ReadSecurityYaml("version: 1\ntpm: {tcti: swtpm, attest_pcrs: [7, 0, 23]}\n", FakeNames()));
  ASSERT_TRUE(policy.tpm());
  EXPECT_THAT(policy.tpm()->attest_pcrs, ElementsAre(0, 7, 23));
}

TEST(SecurityYamlTest, AByteOrderMarkWindowsLinesAndADocumentMarkerAreFine) {
  EXPECT_OK(ReadSecurityYaml("\xef\xbb\xbfversion: 1\r\nmodules: {}\r\n", FakeNames()));
  EXPECT_OK(ReadSecurityYaml("%YAML 1.2\n---\nversion: 1\n...\n", FakeNames()));
}

TEST(SecurityYamlTest, ThePinMayComeFromACredential) {
  ASSERT_OK_AND_ASSIGN(
      const Policy policy,
      ReadSecurityYaml("version: 1\nhsm: {module: /m.so, token: t, pin_credential: hsm-pin}\n",
                       FakeNames()));
  EXPECT_EQ(policy.hsm()->pin_credential, "hsm-pin");
  EXPECT_EQ(policy.hsm()->pin_file, std::nullopt);
}

TEST(SecurityYamlTest, AllProblemsAreToldAtOnceInOrderOfLine) {
  const auto checked = CheckSecurityYaml(R"(modules:
  Frontend: {users: [frontend]}
  backend:
    users: [nobody-here]
    key: {}
tmp: {}
version: 1
)",
                                         FakeNames());
  ASSERT_FALSE(checked);
  std::vector<std::string> problems;
  for (const Diagnostic& problem : checked.error()) problems.push_back(problem.ToString());
  EXPECT_THAT(problems,
              ElementsAre(HasSubstr("line 2: bad name 'Frontend'"),
                          HasSubstr("line 4: unknown user 'nobody-here'"),
                          "line 5: module 'backend' has no key 'key'; did you mean 'keys'?",
                          "line 6: security.yaml has no key 'tmp'; did you mean 'tpm'?"));
  EXPECT_EQ(checked.error()[1].place.column, 13U);
}

TEST(SecurityYamlTest, TheErrorQuotesTheFirstThreeAndCountsTheRest) {
  const Result<Policy> policy =
      ReadSecurityYaml("version: 1\na: 1\nb: 2\nc: 3\nd: 4\n", FakeNames());
  ASSERT_THAT(policy, FailsWith(ErrorCode::kConfiguration));
  EXPECT_THAT(policy.error().message(),
              ::testing::AllOf(HasSubstr("line 2: "), HasSubstr("line 4: "),
                               ::testing::Not(HasSubstr("line 5: ")), HasSubstr("and 1 more")));
}

TEST(SecurityYamlTest, ProblemsAreBoundedInNumberAndLength) {
  std::string text = "version: 1\n";
  for (int i = 0; i < 1000; ++i) text += std::string(500, 'k') + std::to_string(i) + ": 1\n";
  const auto checked = CheckSecurityYaml(text, FakeNames());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().size(), Diagnostics::kMaxDiagnostics);
  for (const Diagnostic& problem : checked.error()) EXPECT_LT(problem.message.size(), 300U);
}

TEST(SecurityYamlTest, WhatCouldBeAPinIsNotRepeated) {
  const Result<Policy> policy = ReadSecurityYaml(
      "version: 1\nhsm: {module: /m.so, token: t, pin: hunter2, pin_file: swordfish}\n",
      FakeNames());
  ASSERT_THAT(policy, FailsWith(ErrorCode::kConfiguration));
  EXPECT_THAT(policy.error().message(), HasSubstr("'pin_file' must be an absolute path"));
  EXPECT_THAT(policy.error().message(), ::testing::Not(HasSubstr("hunter2")));
  EXPECT_THAT(policy.error().message(), ::testing::Not(HasSubstr("swordfish")));
}

}  // namespace
}  // namespace keyward::policy
