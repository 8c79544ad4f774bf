#include "policy/circuit_breaker.h"

#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"

namespace keyward::policy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing_support::FailsWith;
using testing_support::FakeClock;
using State = CircuitBreaker::State;

class CircuitBreakerTest : public ::testing::Test {
 protected:
  void Fail(int times) {
    for (int i = 0; i < times; ++i) breaker_.RecordFailure();
  }

  FakeClock clock_;
  CircuitBreaker breaker_{clock_};
};

TEST_F(CircuitBreakerTest, FourFailuresLeaveItClosed) {
  Fail(4);
  EXPECT_EQ(breaker_.state(), State::kClosed);
  EXPECT_OK(breaker_.Admit());
}

TEST_F(CircuitBreakerTest, TheFifthFailureOpensItAndCallersHearWhenToComeBack) {
  Fail(5);
  EXPECT_EQ(breaker_.state(), State::kOpen);
  clock_.Advance(seconds(20));
  const Result<void> refused = breaker_.Admit();
  ASSERT_THAT(refused, FailsWith(ErrorCode::kCircuitBreakerOpen));
  EXPECT_EQ(refused.error().retry_after_ms(), 100'000U);
  EXPECT_EQ(refused.error().action(), Action::kRetryLater);
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("circuit breaker open"));
}

TEST_F(CircuitBreakerTest, FailuresOlderThanTheWindowDoNotCount) {
  Fail(4);
  clock_.Advance(seconds(60));
  Fail(4);
  EXPECT_EQ(breaker_.state(), State::kClosed);
}

TEST_F(CircuitBreakerTest, TheWindowSlides) {
  Fail(2);
  clock_.Advance(seconds(30));
  Fail(2);
  clock_.Advance(seconds(30));  // the first two are out
  Fail(2);
  EXPECT_EQ(breaker_.state(), State::kClosed);
  Fail(1);
  EXPECT_EQ(breaker_.state(), State::kOpen);
}

TEST_F(CircuitBreakerTest, SuccessesInBetweenDoNotHideFailures) {
  for (int i = 0; i < 5; ++i) {
    breaker_.RecordSuccess();
    breaker_.RecordFailure();
  }
  EXPECT_EQ(breaker_.state(), State::kOpen);
}

TEST_F(CircuitBreakerTest, AfterTheCooldownExactlyOneProbePasses) {
  Fail(5);
  clock_.Advance(seconds(120) - milliseconds(1));
  EXPECT_THAT(breaker_.Admit(), FailsWith(ErrorCode::kCircuitBreakerOpen));
  clock_.Advance(milliseconds(1));
  EXPECT_EQ(breaker_.state(), State::kHalfOpen);
  EXPECT_OK(breaker_.Admit());
  EXPECT_EQ(breaker_.state(), State::kHalfOpen);
  const Result<void> second = breaker_.Admit();
  ASSERT_THAT(second, FailsWith(ErrorCode::kCircuitBreakerOpen));
  EXPECT_EQ(second.error().retry_after_ms(), 1000U);
}

TEST_F(CircuitBreakerTest, AProbeThatSucceedsClosesItWithACleanRecord) {
  Fail(5);
  clock_.Advance(seconds(120));
  ASSERT_OK(breaker_.Admit());
  breaker_.RecordSuccess();
  EXPECT_EQ(breaker_.state(), State::kClosed);
  Fail(4);
  EXPECT_EQ(breaker_.state(), State::kClosed);
}

TEST_F(CircuitBreakerTest, AProbeThatFailsOpensItForAnotherCooldown) {
  Fail(5);
  clock_.Advance(seconds(120));
  ASSERT_OK(breaker_.Admit());
  breaker_.RecordFailure();
  EXPECT_EQ(breaker_.state(), State::kOpen);
  clock_.Advance(seconds(119));
  EXPECT_THAT(breaker_.Admit(), FailsWith(ErrorCode::kCircuitBreakerOpen));
  clock_.Advance(seconds(1));
  EXPECT_OK(breaker_.Admit());
}

TEST_F(CircuitBreakerTest, LateNewsOfCallsFromBeforeChangesNothingWhileOpen) {
  Fail(5);
  breaker_.RecordSuccess();
  EXPECT_EQ(breaker_.state(), State::kOpen);
  clock_.Advance(seconds(100));
  breaker_.RecordFailure();  // does not prolong the cooldown
  clock_.Advance(seconds(20));
  EXPECT_OK(breaker_.Admit());
}

TEST_F(CircuitBreakerTest, HardwareThatIsSeenToServeClosesItWithACleanRecord) {
  Fail(5);
  breaker_.Close();
  EXPECT_EQ(breaker_.state(), State::kClosed);
  Fail(4);
  breaker_.Close();  // a check of a closed breaker hides no failures
  EXPECT_OK(breaker_.Admit());
  Fail(1);
  EXPECT_EQ(breaker_.state(), State::kOpen);
}

TEST_F(CircuitBreakerTest, AProbeThatNobodyReportsIsReplaced) {
  Fail(5);
  clock_.Advance(seconds(120));
  ASSERT_OK(breaker_.Admit());
  clock_.Advance(seconds(120));
  EXPECT_OK(breaker_.Admit());
  breaker_.RecordSuccess();
  EXPECT_EQ(breaker_.state(), State::kClosed);
}

TEST_F(CircuitBreakerTest, StatesHaveNames) {
  EXPECT_EQ(Name(State::kClosed), "closed");
  EXPECT_EQ(Name(State::kOpen), "open");
  EXPECT_EQ(Name(State::kHalfOpen), "half-open");
}

}  // namespace
}  // namespace keyward::policy
