// Each call that changes the token's files fails once, or is the last one.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "tests/support/run_program.h"
#include "tests/unit/hsm/counting_child.h"
#include "tests/unit/hsm/hsm_fixture.h"

namespace keyward::hsm {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;
using testing_support::IsOkAndHolds;
using testing_support::Outcome;
using testing_support::RunProgram;

constexpr int kMostCalls = 400;

class HsmCounterFaultTest : public HsmFixture {
 protected:
  HsmCounterFaultTest() { EXPECT_OK(MakeCustodian()->counter().Create(id_)); }

  // Counts in a traced process. The tracer counts from the end of the login on: SoftHSM rewrites
  // the token's own file in place for a login, and a kill in between is the end of the token.
  Outcome Count(int increments, const std::vector<std::string>& fault) {
    fs::remove(token_.folder() / "ready");
    std::ofstream(token_.folder() / "acknowledged", std::ios::trunc).flush();
    std::vector<std::string> argv = {KEYWARD_FAULT_TRACER, "--below", token_.folder() / "tokens",
                                     "--arm", token_.folder() / "ready"};
    argv.insert(argv.end(), fault.begin(), fault.end());
    const std::vector<std::string> child =
        CountingChild(token_, id_, token_.folder() / "acknowledged", increments);
    argv.insert(argv.end(), child.begin(), child.end());
    argv.push_back(token_.folder() / "ready");
    return RunProgram(argv);
  }
  int CallsOf(int increments) {
    const Outcome outcome = Count(increments, {"--count"});
    EXPECT_EQ(outcome.status, 0);
    const int calls = static_cast<int>(std::strtol(outcome.output.c_str(), nullptr, 10));
    EXPECT_THAT(calls, AllOf(Ge(4 * increments), Le(kMostCalls)));
    return std::min(calls, kMostCalls);
  }
  uint64_t LastAcknowledged() const {
    std::ifstream file(token_.folder() / "acknowledged");
    uint64_t value = 0;
    while (file >> value) {
    }
    return value;
  }
  // In a process, this one, that learns everything from the files.
  void ExpectNothingLost() {
    const auto custodian = MakeCustodian();
    ASSERT_NE(custodian, nullptr);
    ASSERT_OK_AND_ASSIGN(const uint64_t now, custodian->counter().Read(id_));
    latest_ = std::max(latest_, LastAcknowledged());
    EXPECT_THAT(now, Ge(latest_));
    EXPECT_THAT(custodian->counter().Increment(id_), IsOkAndHolds(now + 1));
    EXPECT_EQ(OpenSession().Find(FindCounterValues(id_)).value().size(), 1U);
    latest_ = now + 1;
  }

  const KeyId id_ = NewId();
  uint64_t latest_ = 1;
};

TEST_F(HsmCounterFaultTest, AKillAtAnyCallTakesNoAcknowledgedValueBack) {
  constexpr int kIncrements = 2;  // the second destroys what the first has made
  const int calls = CallsOf(kIncrements);
  for (int n = 1; n <= calls; ++n) {
    SCOPED_TRACE(n);
    EXPECT_EQ(Count(kIncrements, {"--kill-at", std::to_string(n)}).status, 128 + SIGKILL);
    ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
  }
}

TEST_F(HsmCounterFaultTest, AFullDiskAtAnyCallTakesNoAcknowledgedValueBack) {
  const int calls = CallsOf(1);
  int refused = 0;
  for (int n = 1; n <= calls; ++n) {
    SCOPED_TRACE(n);
    const std::vector<std::string> fault = {"--fail-at", std::to_string(n), "--errno", "ENOSPC"};
    if (Count(1, fault).status != 0) ++refused;
    ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
  }
  EXPECT_GT(refused, 0) << "no fault arrived";
}

}  // namespace
}  // namespace keyward::hsm
