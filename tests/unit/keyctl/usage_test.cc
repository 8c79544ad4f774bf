#include <fmt/format.h>

#include <sstream>

#include "keyctl/human.h"
#include "keyctl/table.h"
#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using testing_support::KeyctlTest;

class UsageTest : public KeyctlTest {};

TEST_F(UsageTest, WithoutACommandItFails) {
  EXPECT_EQ(Run({}), ExitCode::kUsage);
  EXPECT_THAT(out_.str(), IsEmpty());
  EXPECT_THAT(err_.str(), StartsWith("keyctl: the command line is wrong: "));
}

TEST_F(UsageTest, EveryLevelHasHelpWithExamples) {
  const std::vector<std::vector<std::string>> levels = {{},
                                                        {"status"},
                                                        {"doctor"},
                                                        {"key"},
                                                        {"key", "list"},
                                                        {"key", "show"},
                                                        {"key", "generate"},
                                                        {"key", "rotate"},
                                                        {"key", "revoke"},
                                                        {"key", "destroy"},
                                                        {"module"},
                                                        {"module", "list"},
                                                        {"module", "enrol"},
                                                        {"module", "remove"},
                                                        {"sessions"},
                                                        {"sessions", "list"},
                                                        {"sessions", "end"},
                                                        {"policy"},
                                                        {"policy", "check"},
                                                        {"policy", "reload"},
                                                        {"backup"},
                                                        {"backup", "create"},
                                                        {"backup", "drill"},
                                                        {"backup", "restore"},
                                                        {"master"},
                                                        {"master", "seal"},
                                                        {"master", "show"},
                                                        {"master", "forget"},
                                                        {"master", "reseal"},
                                                        {"audit"},
                                                        {"audit", "verify"},
                                                        {"audit", "show"}};
  for (std::vector<std::string> level : levels) {
    std::string command = "keyctl";
    for (const std::string& word : level) command += " " + word;
    level.emplace_back("--help");
    EXPECT_EQ(Run(level), ExitCode::kOk) << command;
    EXPECT_THAT(out_.str(), HasSubstr("Examples:\n  " + command)) << command;
    EXPECT_THAT(err_.str(), IsEmpty());
  }
}

TEST_F(UsageTest, HelpAndManualListTheExitCodes) {
  EXPECT_EQ(Run({"--help"}), ExitCode::kOk);
  std::ifstream file(KEYWARD_MANUAL);
  const std::string manual{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(manual.empty());
  for (const ExitCodeInfo& info : kExitCodes) {
    const int number = static_cast<int>(info.code);
    EXPECT_THAT(out_.str(), HasSubstr(fmt::format("  {}  {}\n", number, info.meaning)));
    EXPECT_THAT(manual, HasSubstr(fmt::format(".It {}\n{}\n", number, info.meaning)));
  }
}

TEST_F(UsageTest, AWrongCommandLineIsJsonToo) {
  EXPECT_EQ(Run({"--json", "key", "lost"}), ExitCode::kUsage);
  EXPECT_EQ(ErrorJson().at("exit_code"), 2);
}

TEST_F(UsageTest, AWordThatIsNoCommandIsNamed) {
  EXPECT_EQ(Run({"lost"}), ExitCode::kUsage);
  EXPECT_EQ(err_.str(),
            "keyctl: the command line is wrong: keyctl has no command 'lost' — see 'keyctl "
            "--help'\n");
  EXPECT_EQ(Run({"key", "lost"}), ExitCode::kUsage);
  EXPECT_EQ(err_.str(),
            "keyctl: the command line is wrong: keyctl key has no command 'lost' — see 'keyctl "
            "key --help'\n");
}

TEST_F(UsageTest, WhatIsNotFoundIsLookedForInItsOwnList) {
  keyd_.error = Error(ErrorCode::kNotFound, "there is no such thing");
  Run({"key", "show", "x"});
  EXPECT_THAT(err_.str(), EndsWith("— see 'keyctl key list'\n"));
  Run({"sessions", "end", "7"});
  EXPECT_THAT(err_.str(), EndsWith("— see 'keyctl sessions list'\n"));
  Run({"module", "enrol", "x", "--identity", "y"});
  EXPECT_THAT(err_.str(), EndsWith("— see 'keyctl module list' and 'keyctl key list'\n"));
}

TEST_F(UsageTest, EveryFailureHasItsExitCode) {
  struct Case {
    ErrorCode error;
    ExitCode exit;
  };
  for (const Case& c : {Case{ErrorCode::kInvalidArgument, ExitCode::kUsage},
                        Case{ErrorCode::kUnreachable, ExitCode::kUnreachable},
                        Case{ErrorCode::kPermissionDenied, ExitCode::kPermissionDenied},
                        Case{ErrorCode::kNotFound, ExitCode::kNotFound},
                        Case{ErrorCode::kAlreadyExists, ExitCode::kAlreadyExists},
                        Case{ErrorCode::kCustodianUnavailable, ExitCode::kHardware},
                        Case{ErrorCode::kCircuitBreakerOpen, ExitCode::kHardware},
                        Case{ErrorCode::kPinRejected, ExitCode::kHardware},
                        Case{ErrorCode::kConfiguration, ExitCode::kConfiguration},
                        Case{ErrorCode::kInternal, ExitCode::kFailure}}) {
    keyd_.error = Error(c.error, "why");
    EXPECT_EQ(Run({"key", "rotate", "x", "--json"}), c.exit) << Name(c.error);
    EXPECT_EQ(ErrorJson().at("code"), std::string(Name(c.error)));
    EXPECT_EQ(ErrorJson().at("message"), "why");
    EXPECT_THAT(out_.str(), IsEmpty());
  }
}

TEST(TableTest, ALabelCannotDriveTheTerminal) {
  Table table({"NAME"});
  table.Add({"evil\x1b[2J\n"});
  std::ostringstream out;
  table.Print(out, false);
  EXPECT_EQ(out.str(), "NAME\nevil?[2J?\n");
}

TEST(TableTest, NoLineEndsInBlanks) {
  Table table({"NAME", "DETAIL", "MORE"});
  table.Add({"hsm", "", ""});
  table.Add({"tpm", "", "x"});
  std::ostringstream out;
  table.Print(out, false);
  EXPECT_EQ(out.str(), "NAME  DETAIL  MORE\nhsm\ntpm           x\n");
}

TEST(HumanTest, DurationsHaveTwoUnits) {
  EXPECT_EQ(HumanDuration(std::chrono::seconds(0)), "0 s");
  EXPECT_EQ(HumanDuration(std::chrono::seconds(59)), "59 s");
  EXPECT_EQ(HumanDuration(std::chrono::seconds(3600)), "1 h");
  EXPECT_EQ(HumanDuration(std::chrono::seconds(3661)), "1 h 1 min");
  EXPECT_EQ(HumanDuration(std::chrono::hours(25)), "1 d 1 h");
}

TEST(HumanTest, TimestampsAreUtc) {
  EXPECT_EQ(Timestamp(WallTime(std::chrono::seconds(1'750'000'000))), "2025-06-15T15:06:40Z");
}

}  // namespace
}  // namespace keyward::keyctl
