// Processes that count are killed, or count beside each other.
#include <poll.h>
#include <sys/syscall.h>

#include <algorithm>
#include <ctime>
#include <random>

#include "tests/unit/hsm/hsm_child.h"
#include "tests/unit/hsm/hsm_fixture.h"

namespace keyward::hsm {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;
using testing_support::ChildProcess;
using testing_support::IsOkAndHolds;

constexpr const char* kForEver = "1000000";

class HsmCounterCrashTest : public HsmFixture {
 protected:
  // Counts in another process, kills it `after` its `count`th acknowledgement, and gives the last
  // one. It is not killed before the first: SoftHSM rewrites the token's own file for a login.
  uint64_t CountUntilKilled(size_t count, timespec after) {
    Acknowledgements acknowledged(token_.folder() / "acknowledged");
    auto child = ChildProcess::Start(HsmChild(token_, id_, acknowledged.path(), kForEver));
    EXPECT_OK(child);
    acknowledged.WaitFor(count);
    const UniqueFd death(static_cast<int>(syscall(SYS_pidfd_open, child->pid(), 0)));
    pollfd event = {death.get(), POLLIN, 0};
    EXPECT_EQ(ppoll(&event, 1, &after, nullptr), 0) << "the child died by itself";
    child->Kill();
    const std::vector<uint64_t>& values = acknowledged.Drain();
    EXPECT_GE(values.size(), count);
    EXPECT_TRUE(std::ranges::is_sorted(values, std::ranges::less_equal())) << "each is a new one";
    return values.empty() ? 0 : values.back();
  }

  const KeyId id_ = NewId();
};

TEST_F(HsmCounterCrashTest, AKillTakesNoAcknowledgedValueBack) {
  ASSERT_OK(MakeCustodian()->counter().Create(id_));
  std::mt19937 random(std::random_device{}());
  std::uniform_int_distribution<long> microseconds(0, 6000);
  for (size_t round = 0; round < 20; ++round) {
    const long moment = microseconds(random);
    SCOPED_TRACE(testing::Message() << "round " << round << ", " << moment << " us after");
    const uint64_t last = CountUntilKilled(1 + round % 3, {0, moment * 1000});
    const auto custodian = MakeCustodian();
    ASSERT_NE(custodian, nullptr);
    ASSERT_OK_AND_ASSIGN(const uint64_t now, custodian->counter().Read(id_));
    EXPECT_THAT(now, AllOf(Ge(last), Le(last + 1)));
    EXPECT_THAT(custodian->counter().Increment(id_), IsOkAndHolds(now + 1));
    EXPECT_EQ(OpenSession().Find(FindCounterValues(id_)).value().size(), 1U);
  }
}

TEST_F(HsmCounterCrashTest, ProcessesWithACounterEachOnOneTokenMissNoCount) {
  constexpr size_t kEach = 40;
  const KeyId others_id = NewId();
  for (const KeyId& id : {id_, others_id}) ASSERT_OK(MakeCustodian()->counter().Create(id));
  Acknowledgements ours(token_.folder() / "ours");
  Acknowledgements others(token_.folder() / "others");
  {
    const std::string work = "shared " + std::to_string(kEach);
    const auto one = ChildProcess::Start(HsmChild(token_, id_, ours.path(), work));
    const auto other = ChildProcess::Start(HsmChild(token_, others_id, others.path(), work));
    for (Acknowledgements* each : {&ours, &others}) {
      each->WaitFor(kEach);
      const std::vector<uint64_t>& values = each->Drain();
      EXPECT_EQ(values.size(), kEach);
      EXPECT_TRUE(std::ranges::is_sorted(values, std::ranges::less_equal()));
    }
  }
  for (const auto& [id, acknowledged] : {std::pair{id_, &ours}, std::pair{others_id, &others}}) {
    ASSERT_FALSE(acknowledged->Drain().empty());
    EXPECT_THAT(MakeCustodian()->counter().Read(id), IsOkAndHolds(acknowledged->Drain().back()));
  }
}

}  // namespace
}  // namespace keyward::hsm
