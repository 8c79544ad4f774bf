#include "hsm/hsm_counter.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "core/encoding.h"
#include "tests/unit/hsm/hsm_fixture.h"

namespace keyward::hsm {
namespace {

using testing_support::IsOkAndHolds;

class HsmCounterTest : public HsmFixture {
 protected:
  Counter& counter() { return custodian_->counter(); }
  static Bytes Value(const KeyId& id, uint64_t number) {
    return Writer().Raw(id).Integer(number).Take();
  }
  void Put(ByteView value) { ASSERT_OK(OpenSession().Create(NewCounterValue(id_, value))); }
  size_t ObjectsOf(const KeyId& id) {
    return OpenSession().Find(FindCounterValues(id)).value().size();
  }

  const KeyId id_ = NewId();
  std::unique_ptr<HsmCustodian> custodian_ = MakeCustodian();
};

TEST_F(HsmCounterTest, CountsFromOneByOne) {
  EXPECT_THAT(counter().Create(id_), IsOkAndHolds(1U));
  EXPECT_THAT(counter().Read(id_), IsOkAndHolds(1U));
  for (uint64_t next = 2; next <= 20; ++next) {
    EXPECT_THAT(counter().Increment(id_), IsOkAndHolds(next));
    EXPECT_THAT(counter().Read(id_), IsOkAndHolds(next));
  }
  EXPECT_EQ(ObjectsOf(id_), 1U);
}

TEST_F(HsmCounterTest, ACounterIsMadeOnce) {
  EXPECT_THAT(counter().Read(id_), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(counter().Increment(id_), FailsWith(ErrorCode::kNotFound));
  ASSERT_OK(counter().Create(id_));
  EXPECT_THAT(counter().Create(id_), FailsWith(ErrorCode::kAlreadyExists));
  EXPECT_THAT(counter().Read(id_), IsOkAndHolds(1U));
}

TEST_F(HsmCounterTest, ADestroyedCounterIsGoneAndOthersStay) {
  const KeyId other = NewId();
  ASSERT_OK(counter().Create(id_));
  ASSERT_OK(counter().Create(other));
  ASSERT_OK(counter().Increment(other));
  ASSERT_OK(counter().Destroy(id_));
  EXPECT_OK(counter().Destroy(id_)) << "one that is not there any more";
  EXPECT_THAT(counter().Read(id_), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(counter().Read(other), IsOkAndHolds(2U));
}

TEST_F(HsmCounterTest, ALaterProcessCountsOn) {
  ASSERT_OK(counter().Create(id_));
  ASSERT_OK(counter().Increment(id_));
  custodian_.reset();
  custodian_ = MakeCustodian();
  EXPECT_THAT(counter().Increment(id_), IsOkAndHolds(3U));
}

// As an Increment leaves them that was killed before it destroyed the older value.
TEST_F(HsmCounterTest, TheHighestValueCountsAndReadingDestroysNothing) {
  ASSERT_OK(counter().Create(id_));
  Put(Value(id_, 7));
  Put(Value(id_, 6));
  EXPECT_THAT(counter().Read(id_), IsOkAndHolds(7U));
  EXPECT_EQ(ObjectsOf(id_), 3U);
  EXPECT_THAT(counter().Increment(id_), IsOkAndHolds(8U));
  EXPECT_EQ(ObjectsOf(id_), 1U);
}

TEST_F(HsmCounterTest, ValuesOfAnotherFormArePassedOver) {
  ASSERT_OK(counter().Create(id_));
  const Bytes high = Value(id_, 99);
  Put(ByteView(high).first(high.size() - 1));
  Bytes longer = high;
  longer.push_back(0);
  Put(longer);
  Put(Value(NewId(), 99));
  Put(Bytes(2000, 0xff));
  Put({});
  EXPECT_THAT(counter().Read(id_), IsOkAndHolds(1U));
  EXPECT_THAT(counter().Increment(id_), IsOkAndHolds(2U));
  EXPECT_OK(counter().Destroy(id_));
  EXPECT_EQ(ObjectsOf(id_), 0U);
}

// A lookup that cannot see everything might miss the highest.
TEST_F(HsmCounterTest, TooManyValuesAreRefused) {
  for (uint64_t number = 1; number <= Session::kMaxFound; ++number) Put(Value(id_, number));
  EXPECT_THAT(counter().Read(id_), FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_THAT(counter().Increment(id_), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(HsmCounterTest, TheEndOfTheNumbersIsNoNewBeginning) {
  constexpr uint64_t kEnd = std::numeric_limits<uint64_t>::max();
  Put(Value(id_, kEnd));
  EXPECT_THAT(counter().Increment(id_), FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_THAT(counter().Read(id_), IsOkAndHolds(kEnd));
}

TEST_F(HsmCounterTest, CountsOnWhenTheTokenComesBack) {
  ASSERT_OK(counter().Create(id_));
  token_.TakeAway();
  EXPECT_THAT(counter().Increment(id_), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(counter().Read(id_), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(counter().Destroy(id_), FailsWith(ErrorCode::kCustodianUnavailable));
  token_.BringBack();
  EXPECT_THAT(counter().Increment(id_), IsOkAndHolds(2U));
}

TEST_F(HsmCounterTest, NoTwoThreadsGetTheSameValue) {
  constexpr size_t kThreads = 4;
  constexpr size_t kEach = 10;
  ASSERT_OK(counter().Create(id_));
  HsmFactory factory(Options(), rng_);
  std::mutex mutex;
  std::set<uint64_t> given;
  const auto count = [&] {
    const auto own = factory.Make();
    ASSERT_OK(own);
    for (size_t i = 0; i < kEach; ++i) {
      const auto value = dynamic_cast<HsmCustodian&>(**own).counter().Increment(id_);
      ASSERT_OK(value);
      const std::scoped_lock lock(mutex);
      given.insert(*value);
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (size_t i = 0; i < kThreads; ++i) threads.emplace_back(count);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(given.size(), kThreads * kEach);
  EXPECT_THAT(counter().Read(id_), IsOkAndHolds(1 + kThreads * kEach));
}

}  // namespace
}  // namespace keyward::hsm
