// Each call that changes the token's files fails once, or is the last one.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "tests/support/run_program.h"
#include "tests/unit/hsm/hsm_child.h"
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

class HsmFaultTest : public HsmFixture {
 protected:
  // Has a traced process do `work` (hsm_child_main.cc). The tracer counts from the end of the login
  // on: SoftHSM rewrites the token's own file in place for a login, and a kill in between is the
  // end of the token.
  Outcome Do(const std::string& work, const KeyId& id, const std::vector<std::string>& fault) {
    fs::remove(token_.folder() / "ready");
    std::ofstream(Output(), std::ios::trunc).flush();
    std::vector<std::string> argv = {KEYWARD_FAULT_TRACER, "--below", token_.folder() / "tokens",
                                     "--arm", token_.folder() / "ready"};
    argv.insert(argv.end(), fault.begin(), fault.end());
    const std::vector<std::string> child = HsmChild(token_, id, Output(), work);
    argv.insert(argv.end(), child.begin(), child.end());
    return RunProgram(argv);
  }
  int CallsOf(const std::string& work, const KeyId& id) {
    const Outcome outcome = Do(work, id, {"--count"});
    EXPECT_EQ(outcome.status, 0);
    const int calls = static_cast<int>(std::strtol(outcome.output.c_str(), nullptr, 10));
    EXPECT_THAT(calls, AllOf(Ge(4), Le(kMostCalls)));
    return std::min(calls, kMostCalls);
  }
  static std::vector<std::string> KillAt(int n) { return {"--kill-at", std::to_string(n)}; }
  static std::vector<std::string> FullDiskAt(int n) {
    return {"--fail-at", std::to_string(n), "--errno", "ENOSPC"};
  }
  fs::path Output() const { return token_.folder() / "acknowledged"; }
  // The last line of the child's, empty when it acknowledged nothing.
  std::string LastLine() const {
    std::ifstream file(Output());
    std::string last;
    for (std::string line; std::getline(file, line);) last = line;
    return last;
  }
};

class HsmCounterFaultTest : public HsmFaultTest {
 protected:
  HsmCounterFaultTest() { EXPECT_OK(MakeCustodian()->counter().Create(id_)); }

  // In a process, this one, that learns everything from the files.
  void ExpectNothingLost() {
    const auto custodian = MakeCustodian();
    ASSERT_NE(custodian, nullptr);
    ASSERT_OK_AND_ASSIGN(const uint64_t now, custodian->counter().Read(id_));
    EXPECT_GE(now, latest_);
    EXPECT_GE(now, std::strtoull(LastLine().c_str(), nullptr, 10));
    EXPECT_THAT(custodian->counter().Increment(id_), IsOkAndHolds(now + 1));
    EXPECT_EQ(OpenSession().Find(FindCounterValues(id_)).value().size(), 1U);
    latest_ = now + 1;
  }

  const KeyId id_ = NewId();
  uint64_t latest_ = 1;
};

TEST_F(HsmCounterFaultTest, AKillAtAnyCallTakesNoAcknowledgedValueBack) {
  const std::string increments = "2";  // the second destroys what the first has made
  const int calls = CallsOf(increments, id_);
  for (int n = 1; n <= calls; ++n) {
    SCOPED_TRACE(n);
    EXPECT_EQ(Do(increments, id_, KillAt(n)).status, 128 + SIGKILL);
    ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
  }
}

TEST_F(HsmCounterFaultTest, AFullDiskAtAnyCallTakesNoAcknowledgedValueBack) {
  const int calls = CallsOf("1", id_);
  int refused = 0;
  for (int n = 1; n <= calls; ++n) {
    SCOPED_TRACE(n);
    if (Do("1", id_, FullDiskAt(n)).status != 0) ++refused;
    ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
  }
  EXPECT_GT(refused, 0) << "no fault arrived";
}

// The parameter is what the child makes.
class HsmMakingFaultTest : public HsmFaultTest, public ::testing::WithParamInterface<const char*> {
 protected:
  // That this process, which learns everything from the files, can use what the child was given.
  void ExpectOfUse(HsmCustodian& custodian, const KeyId& id) const {
    ASSERT_OK_AND_ASSIGN(const Bytes given, FromHex(LastLine()));
    if (GetParam() == kKey) {
      const ByteView message = AsBytes("message");
      const KeyReference reference(id.begin(), id.end());
      ASSERT_OK_AND_ASSIGN(const PublicKey key, PublicKey::FromSpki(given));
      ASSERT_OK_AND_ASSIGN(const Bytes signature, custodian.signer().Sign(reference, message));
      EXPECT_OK(key.Verify(message, signature));
      return;
    }
    const Bytes expected(kMasterKeySize, 42);
    const auto opened = GetParam() == kMaster
                            ? custodian.master_sealer().UnsealMaster(id, given, {})
                            : custodian.sealer().Unseal(given, {});
    ASSERT_OK(opened);
    EXPECT_TRUE(opened->Equals(expected));
  }
  // So that the next child makes it all again.
  static void SweepAway(HsmCustodian& custodian, const KeyId& id) {
    EXPECT_OK(custodian.master_sealer().DestroyMaster(id));
    EXPECT_OK(custodian.signer().DestroyUnrecorded(std::span(&id, 1)));
    const Session session = OpenSession();
    ASSERT_OK_AND_ASSIGN(const auto wrapping_keys, session.Find(FindWrappingKeys()));
    for (const CK_OBJECT_HANDLE key : wrapping_keys) EXPECT_OK(session.Destroy(key));
  }
  int CallsToMakeOne() {
    const KeyId id = NewId();
    const int calls = CallsOf(GetParam(), id);
    SweepAway(*MakeCustodian(), id);
    return calls;
  }

  static constexpr std::string_view kMaster = "master";
  static constexpr std::string_view kSecret = "secret";
  static constexpr std::string_view kKey = "key";
};

// What was given out but is not in the token's files would be lost with the process.
TEST_P(HsmMakingFaultTest, AFullDiskAtAnyCallGivesNothingOutThatIsNotKept) {
  constexpr int kStep = 3;  // SoftHSM repeats a row of four calls, one to three dozen times
  const int calls = CallsToMakeOne();
  int refused = 0;
  for (int n = 1; n <= calls; n += kStep) {
    SCOPED_TRACE(n);
    const KeyId id = NewId();
    const Outcome outcome = Do(GetParam(), id, FullDiskAt(n));
    EXPECT_EQ(outcome.status == 0, !LastLine().empty());
    const auto custodian = MakeCustodian();
    ASSERT_NE(custodian, nullptr);
    if (outcome.status == 0) ExpectOfUse(*custodian, id);
    if (outcome.status != 0) ++refused;
    SweepAway(*custodian, id);
  }
  // The sealer tries again by itself.
  EXPECT_EQ(refused > 0, GetParam() != kSecret);
}

TEST_P(HsmMakingFaultTest, WhatAKillLeavesIsSweptAwayAndNotInTheWay) {
  constexpr int kStep = 3;
  const int calls = CallsToMakeOne();
  for (int n = 1; n <= calls; n += kStep) {
    SCOPED_TRACE(n);
    const KeyId id = NewId();
    EXPECT_EQ(Do(GetParam(), id, KillAt(n)).status, 128 + SIGKILL);
    SweepAway(*MakeCustodian(), id);
    EXPECT_EQ(Do(GetParam(), id, {}).status, 0) << "under the same name";
    const auto custodian = MakeCustodian();
    ASSERT_NE(custodian, nullptr);
    ExpectOfUse(*custodian, id);
    SweepAway(*custodian, id);
  }
}

INSTANTIATE_TEST_SUITE_P(, HsmMakingFaultTest, ::testing::Values("master", "secret", "key"),
                         [](const auto& work) { return std::string(work.param); });

}  // namespace
}  // namespace keyward::hsm
