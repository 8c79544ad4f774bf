#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

#include "keyctl/human.h"
#include "keyctl/table.h"
#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::StartsWith;
using testing_support::KeyctlTest;

using Words = std::vector<std::string>;

// The commands that a help lists.
Words Subcommands(const std::string& help) {
  Words names;
  std::istringstream lines(help);
  bool listed = false;
  for (std::string line; std::getline(lines, line);) {
    std::string word;
    std::istringstream(line) >> word;
    if (line == "Subcommands:" || line == "SUBCOMMANDS:") {
      listed = true;
    } else if (line.empty()) {
      listed = false;
    } else if (listed && line.starts_with("  " + word)) {  // further in, a description goes on
      names.push_back(word);
    }
  }
  return names;
}

class UsageTest : public KeyctlTest {
 protected:
  std::string Help(Words words) {
    words.emplace_back("--help");
    EXPECT_EQ(Run(words), ExitCode::kOk) << words.front();
    EXPECT_THAT(err_.str(), IsEmpty());
    return out_.str();
  }
  // keyctl itself, its commands, and theirs.
  std::vector<Words> Levels() {
    std::vector<Words> levels = {{}};
    for (size_t i = 0; i < levels.size(); ++i) {
      const Words above = levels[i];
      for (const std::string& name : Subcommands(Help(above))) {
        levels.push_back(above);
        levels.back().push_back(name);
      }
    }
    return levels;
  }
};

TEST_F(UsageTest, WithoutACommandItFails) {
  EXPECT_EQ(Run({}), ExitCode::kUsage);
  EXPECT_THAT(out_.str(), IsEmpty());
  EXPECT_THAT(err_.str(), StartsWith("keyctl: the command line is wrong: "));
}

TEST_F(UsageTest, EveryLevelHasHelpWithExamples) {
  const std::vector<Words> levels = Levels();
  EXPECT_THAT(levels, IsSupersetOf({Words{}, Words{"status"}, Words{"policy"},
                                    Words{"policy", "pcr"}, Words{"policy", "pcr", "sign"}}));
  for (const Words& level : levels) {
    const std::string command = fmt::format("{}", fmt::join(level, " "));
    EXPECT_THAT(Help(level), HasSubstr("Examples:\n  keyctl " + command)) << command;
  }
}

TEST_F(UsageTest, EveryCommandTakesJson) {
  keyd_.error = Error(ErrorCode::kInternal, "why");
  keyd_error_ = keyd_.error;
  for (Words words : Levels()) {
    const std::string command = fmt::format("{}", fmt::join(words, " "));
    if (!Subcommands(Help(words)).empty()) continue;
    EXPECT_THAT(Help(words), HasSubstr("--json")) << command;
    words.emplace_back("--json");
    Run(words);
    const std::string& said = out_.str().empty() ? err_.str() : out_.str();
    EXPECT_TRUE(nlohmann::json::accept(said)) << command << ": " << said;
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
  Run({"sessions", "end", "7", "--yes"});
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
