#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>

#include "core/unique_fd.h"
#include "tests/support/matchers.h"
#include "tests/support/run_program.h"
#include "tests/support/temp_dir.h"

namespace keyward::testing_support {
namespace {

namespace fs = std::filesystem;

using Lines = std::vector<std::string>;

constexpr size_t kSteps = 13;
const Lines kResults = {"0", "8", "2", "0", "0", "0", "0", "0", "6", "0", "5", "4", "0"};

Lines LinesOf(const std::string& text) {
  Lines lines;
  for (size_t from = 0, end = 0; (end = text.find('\n', from)) != std::string::npos;
       from = end + 1) {
    lines.push_back(text.substr(from, end - from));
  }
  return lines;
}

// A folder for fault_steps to work in, with the socket that it wants.
class Workplace {
 public:
  Workplace() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::ranges::copy(folder_.File("socket"), address.sun_path);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
    EXPECT_EQ(listen(listener_.get(), 1), 0);
  }
  std::string path() const { return folder_.path(); }
  // Every file's contents, and what the socket got, once the program is gone.
  std::map<std::string, std::string> State() const {
    std::map<std::string, std::string> state;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      std::ifstream file(entry.path(), std::ios::binary);
      state[fs::relative(entry.path(), folder_.path())] =
          entry.is_regular_file() ? std::string(std::istreambuf_iterator<char>(file), {}) : "";
    }
    const UniqueFd peer(accept(listener_.get(), nullptr, nullptr));
    std::string& got = state["socket"];
    for (char byte = 0; read(peer.get(), &byte, 1) == 1;) got.push_back(byte);
    return state;
  }

 private:
  TempDir folder_;
  UniqueFd listener_{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
};

class FaultTracerTest : public ::testing::Test {
 protected:
  static Outcome Trace(const Workplace& place, const Lines& options, const std::string& mark = "") {
    Lines argv = {KEYWARD_FAULT_TRACER, "--below", place.path()};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.insert(argv.end(), {"--", KEYWARD_FAULT_STEPS, place.path(), std::to_string(kSteps)});
    if (!mark.empty()) argv.push_back(mark);
    return RunProgram(argv);
  }
  static std::map<std::string, std::string> StateAfter(size_t steps) {
    const Workplace place;
    EXPECT_EQ(RunProgram({KEYWARD_FAULT_STEPS, place.path(), std::to_string(steps)}).status, 0);
    return place.State();
  }
  static Lines FirstResults(size_t count) {
    return {kResults.begin(), kResults.begin() + static_cast<std::ptrdiff_t>(count)};
  }
};

TEST_F(FaultTracerTest, TheCountIsTheSameEveryTime) {
  Lines expected = kResults;
  expected.push_back(std::to_string(kSteps));
  for (int run = 0; run < 5; ++run) {
    const Workplace place;
    const Outcome outcome = Trace(place, {"--count"});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(LinesOf(outcome.output), expected);
    EXPECT_EQ(place.State(), StateAfter(kSteps));
  }
}

TEST_F(FaultTracerTest, TheLogNamesEachCallAndItsPaths) {
  const Workplace place;
  const TempDir other;
  ASSERT_EQ(Trace(place, {"--log", other.File("log")}).status, 0);
  std::ifstream file(other.File("log"));
  const Lines lines = LinesOf(std::string(std::istreambuf_iterator<char>(file), {}));
  ASSERT_EQ(lines.size(), kSteps);
  EXPECT_EQ(lines[1], "2 write " + place.path() + "/first");
  EXPECT_EQ(lines[5], "6 rename " + place.path() + "/first " + place.path() + "/second");
  EXPECT_EQ(lines[7], "8 openat " + place.path() + "/sub/c");
  EXPECT_EQ(lines[10], "11 sendto " + place.path() + "/socket");
}

TEST_F(FaultTracerTest, AKillBeforeACallLeavesThoseBeforeIt) {
  for (size_t n = 1; n <= kSteps; ++n) {
    const Workplace place;
    const Outcome outcome = Trace(place, {"--kill-at", std::to_string(n)});
    EXPECT_EQ(outcome.status, 128 + SIGKILL);
    EXPECT_EQ(LinesOf(outcome.output), FirstResults(n - 1));
    EXPECT_EQ(place.State(), StateAfter(n - 1)) << n;
  }
}

TEST_F(FaultTracerTest, AKillAfterACallLeavesItToo) {
  for (size_t n = 1; n <= kSteps; ++n) {
    const Workplace place;
    const Outcome outcome = Trace(place, {"--kill-after", std::to_string(n)});
    EXPECT_EQ(outcome.status, 128 + SIGKILL);
    EXPECT_EQ(LinesOf(outcome.output), FirstResults(n - 1)) << "it does not learn the result";
    EXPECT_EQ(place.State(), StateAfter(n)) << n;
  }
}

TEST_F(FaultTracerTest, AMomentThatDoesNotComeHarmsNothing) {
  const Workplace place;
  const Outcome outcome = Trace(place, {"--kill-at", std::to_string(kSteps + 1)});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(LinesOf(outcome.output), kResults);
}

TEST_F(FaultTracerTest, ACallThatFailsIsNotMade) {
  for (const auto& [name, number] : std::map<std::string, int>{{"ENOSPC", ENOSPC}, {"EIO", EIO}}) {
    for (const size_t n : {2U, 4U, 11U, 13U}) {
      const Workplace place;
      const Outcome outcome = Trace(place, {"--fail-at", std::to_string(n), "--errno", name});
      EXPECT_EQ(outcome.status, 0);
      Lines expected = kResults;
      expected[n - 1] = std::to_string(-number);
      EXPECT_EQ(LinesOf(outcome.output), expected);
      const auto state = place.State();
      EXPECT_EQ(state.at("socket"), n == 11 ? " you" : "hello you");
      EXPECT_EQ(state.contains("second"), n == 13);
    }
  }
}

TEST_F(FaultTracerTest, AShortWriteWritesHalf) {
  const Workplace place;
  const Outcome outcome = Trace(place, {"--short-at", "9"});
  Lines expected = kResults;
  expected[8] = "3";
  EXPECT_EQ(LinesOf(outcome.output), expected);
  EXPECT_EQ(place.State().at("sub/c"), "thr");
}

TEST_F(FaultTracerTest, CountsOnlyOnceItIsArmed) {
  const TempDir other;
  for (const std::string& mark : {other.File("mark"), std::string("signal")}) {
    const Workplace place;
    const Outcome outcome = Trace(place, {"--arm", other.File("mark"), "--count"}, mark);
    ASSERT_EQ(outcome.status, 0);
    EXPECT_EQ(LinesOf(outcome.output).back(), std::to_string(kSteps - 4)) << mark;
    fs::remove(other.File("mark"));
  }
}

TEST_F(FaultTracerTest, CountsChildrenWhenAskedTo) {
  for (const bool children : {false, true}) {
    const TempDir folder;
    Lines argv = {KEYWARD_FAULT_TRACER, "--below", folder.path(), "--count"};
    if (children) argv.emplace_back("--children");
    argv.insert(argv.end(), {"sh", "-c", "mkdir \"$0/a\"; rmdir \"$0/a\"", folder.path()});
    const Outcome outcome = RunProgram(argv);
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.output, children ? "2\n" : "0\n");
  }
}

TEST_F(FaultTracerTest, AWrongCommandLineRunsNothing) {
  const Workplace place;
  for (const Lines& wrong : std::vector<Lines>{{"--kill-at", "0"},
                                               {"--kill-at", "x"},
                                               {"--errno", "ENOTHING"},
                                               {"--unknown"},
                                               {"--log", "/no/such/folder/log"}}) {
    EXPECT_EQ(Trace(place, wrong).status, 2);
  }
  EXPECT_EQ(RunProgram({KEYWARD_FAULT_TRACER, "--count", "true"}).status, 2) << "below what?";
  EXPECT_EQ(RunProgram({KEYWARD_FAULT_TRACER, "--below", "/", "/no/such/program"}).status, 127);
  EXPECT_FALSE(fs::exists(place.path() + "/first"));
}

}  // namespace
}  // namespace keyward::testing_support
