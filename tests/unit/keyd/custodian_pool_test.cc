#include "keyd/custodian_pool.h"

#include <future>
#include <thread>

#include "tests/fakes/fake_custodian.h"
#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

class CustodianPoolTest : public ::testing::Test {
 protected:
  static constexpr auto kPatience = std::chrono::seconds(30);  // of the test, for an answer
  static constexpr auto kSilence = std::chrono::seconds(15);   // of hardware that hangs

  // What a task that only asks for the hardware comes to.
  Result<void> Use(uint32_t caller = 1) {
    const auto answer = std::make_shared<std::promise<Result<void>>>();
    std::future<Result<void>> outcome = answer->get_future();
    KEYWARD_TRY(pool_.Submit(caller, [answer](Result<Custodian*> custodian) {
      Result<void> result =
          custodian ? (*custodian)->CheckHealth() : Result<void>(Fail(custodian.error()));
      answer->set_value(result);
      return result;
    }));
    return Await(std::move(outcome));
  }
  Result<void> CheckHealth() {
    const auto answer = std::make_shared<std::promise<Result<void>>>();
    std::future<Result<void>> outcome = answer->get_future();
    pool_.CheckHealth([answer](const Result<Custodian*>& healthy) {
      answer->set_value(healthy ? Result<void>() : Fail(healthy.error()));
    });
    Result<void> result = Await(std::move(outcome));
    Settle();
    return result;
  }
  Result<void> Await(std::future<Result<void>> outcome) {
    if (outcome.wait_for(kPatience) != std::future_status::ready) {
      return Fail(ErrorCode::kInternal, "no answer came");
    }
    return outcome.get();
  }
  // The pool notes an outcome after its task has told it, and before it begins another.
  void Settle() {
    std::promise<void> begun;
    ASSERT_OK(pool_.Submit(1, [&begun](const Result<Custodian*>&) -> Result<void> {
      begun.set_value();
      return {};
    }));
    EXPECT_EQ(begun.get_future().wait_for(kPatience), std::future_status::ready);
  }
  // Occupies the pool's only thread until the promise is kept.
  std::promise<void> Occupy() {
    std::promise<void> release;
    std::promise<void> running;
    std::future<void> started = running.get_future();
    EXPECT_OK(pool_.Submit(99,
                           [&running, released = release.get_future().share()](
                               const Result<Custodian*>&) -> Result<void> {
                             running.set_value();
                             released.wait();
                             return {};
                           }));
    EXPECT_EQ(started.wait_for(kPatience), std::future_status::ready);
    return release;
  }
  void OpenTheBreaker() {
    hardware_.SetAvailable(false);
    for (int i = 0; i < 5; ++i) ASSERT_THAT(Use(), FailsWith(ErrorCode::kCustodianUnavailable));
  }

  testing_support::FakeClock clock_;
  fakes::FakeHardware hardware_;
  CustodianPool pool_{"hsm", [this] { return hardware_.Make(); }, 1, clock_};
};

TEST_F(CustodianPoolTest, ACallerWithMuchToDoDelaysAnotherByOneTask) {
  std::promise<void> release = Occupy();
  std::vector<uint32_t> order;
  for (const uint32_t caller : {1U, 1U, 1U, 2U}) {
    ASSERT_OK(pool_.Submit(caller, [&order, caller](const Result<Custodian*>&) -> Result<void> {
      order.push_back(caller);
      return {};
    }));
  }
  release.set_value();
  ASSERT_OK(Use(3));
  ASSERT_OK(Use(1));
  EXPECT_THAT(order, ::testing::ElementsAre(1, 2, 1, 1));
}

TEST_F(CustodianPoolTest, ACallerWithTooManyTasksIsBusyAndOthersAreNot) {
  std::promise<void> release = Occupy();
  const auto nothing = [](const Result<Custodian*>&) -> Result<void> { return {}; };
  Result<void> queued;
  for (size_t i = 0; queued && i <= policy::FairQueueLimits{}.per_caller; ++i) {
    queued = pool_.Submit(1, nothing);
  }
  ASSERT_THAT(queued, FailsWith(ErrorCode::kBusy));
  EXPECT_GT(queued.error().retry_after_ms(), 0U);
  EXPECT_OK(pool_.Submit(2, nothing));
  release.set_value();
}

TEST_F(CustodianPoolTest, FiveFailuresOpenTheBreaker) {
  OpenTheBreaker();
  const Result<void> refused = Use();
  ASSERT_THAT(refused, FailsWith(ErrorCode::kCircuitBreakerOpen));
  EXPECT_GT(refused.error().retry_after_ms(), 0U);
}

TEST_F(CustodianPoolTest, AHealthCheckThatSucceedsClosesTheBreaker) {
  OpenTheBreaker();
  EXPECT_THAT(CheckHealth(), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(Use(), FailsWith(ErrorCode::kCircuitBreakerOpen));
  hardware_.SetAvailable(true);
  ASSERT_OK(CheckHealth());
  EXPECT_OK(Use());
}

TEST_F(CustodianPoolTest, HealthChecksThatFailLeaveTheBreakerAlone) {
  hardware_.SetAvailable(false);
  for (int i = 0; i < 6; ++i) ASSERT_FALSE(CheckHealth());
  EXPECT_THAT(Use(), FailsWith(ErrorCode::kCustodianUnavailable));  // the cause, not the breaker
}

TEST_F(CustodianPoolTest, AfterTheCooldownATaskTriesTheHardware) {
  OpenTheBreaker();
  hardware_.SetAvailable(true);
  clock_.Advance(std::chrono::seconds(120));
  EXPECT_OK(Use());
  EXPECT_OK(Use());
}

TEST_F(CustodianPoolTest, WhoIsRefusedMayUseThePool) {
  OpenTheBreaker();
  const auto answer = std::make_shared<std::promise<Result<void>>>();
  std::future<Result<void>> outcome = answer->get_future();
  ASSERT_OK(pool_.Submit(1, [this, answer](const Result<Custodian*>& refused) -> Result<void> {
    static_cast<void>(pool_.Status());
    answer->set_value(Fail(refused.error()));
    return Fail(refused.error());
  }));
  EXPECT_THAT(Await(std::move(outcome)), FailsWith(ErrorCode::kCircuitBreakerOpen));
}

TEST_F(CustodianPoolTest, ARefusalByTheHardwareIsNoFailureOfIt) {
  for (int i = 0; i < 6; ++i) {
    ASSERT_OK(pool_.Submit(1, [](const Result<Custodian*>&) -> Result<void> {
      return Fail(ErrorCode::kNotFound, "no such key");
    }));
  }
  EXPECT_OK(Use());
  EXPECT_FALSE(pool_.Status().failure);
}

TEST_F(CustodianPoolTest, EveryStateInWhichHardwareDoesNotServeIsAFailureOfIt) {
  for (const ErrorCode code :
       {ErrorCode::kCustodianUnavailable, ErrorCode::kCustodianReplaced,
        ErrorCode::kCustodianCleared, ErrorCode::kCustodianBusy, ErrorCode::kLockedOut}) {
    ASSERT_OK(CheckHealth());
    ASSERT_OK(pool_.Submit(1, [code](const Result<Custodian*>&) -> Result<void> {
      return Fail(code, "it does not serve");
    }));
    Settle();
    ASSERT_TRUE(pool_.Status().failure) << Name(code);
    EXPECT_EQ(pool_.Status().failure->code(), code);
  }
}

TEST_F(CustodianPoolTest, StatusFollowsTheHardware) {
  EXPECT_EQ(pool_.Status().name, "hsm");
  EXPECT_EQ(pool_.Status().description, "");
  ASSERT_OK(CheckHealth());
  EXPECT_EQ(pool_.Status().description, "a fake in memory");
  EXPECT_FALSE(pool_.Status().failure);
  hardware_.SetAvailable(false);
  ASSERT_FALSE(CheckHealth());
  ASSERT_TRUE(pool_.Status().failure);
  EXPECT_EQ(pool_.Status().failure->code(), ErrorCode::kCustodianUnavailable);
  hardware_.SetAvailable(true);
  ASSERT_OK(Use());
  EXPECT_TRUE(pool_.Status().failure);  // only a health check says that it is back
  ASSERT_OK(CheckHealth());
  EXPECT_FALSE(pool_.Status().failure);
}

TEST_F(CustodianPoolTest, TellsSinceWhenItIsAsItIs) {
  ASSERT_OK(CheckHealth());
  const WallTime began = pool_.Status().since;
  clock_.Advance(std::chrono::seconds(60));
  ASSERT_OK(CheckHealth());
  EXPECT_EQ(pool_.Status().since, began);
  hardware_.SetAvailable(false);
  ASSERT_FALSE(CheckHealth());
  EXPECT_EQ(pool_.Status().since, clock_.Now());
  const WallTime failed = clock_.Now();
  clock_.Advance(std::chrono::seconds(60));
  ASSERT_FALSE(CheckHealth());
  EXPECT_EQ(pool_.Status().since, failed);
}

TEST_F(CustodianPoolTest, HardwareThatWasAwayAndCameBackIsCounted) {
  hardware_.SetAvailable(false);
  ASSERT_FALSE(CheckHealth());
  hardware_.SetAvailable(true);
  ASSERT_OK(CheckHealth());
  EXPECT_EQ(pool_.Status().resets, 0U) << "it came for the first time";
  for (uint32_t i = 1; i <= 2; ++i) {
    hardware_.SetAvailable(false);
    ASSERT_FALSE(CheckHealth());
    hardware_.SetAvailable(true);
    ASSERT_OK(CheckHealth());
    EXPECT_EQ(pool_.Status().resets, i);
  }
}

TEST_F(CustodianPoolTest, HardwareThatCountsItsStartsIsBelieved) {
  hardware_.SetNotes({.starts = 7, .concern = {}});
  ASSERT_OK(CheckHealth());
  hardware_.SetAvailable(false);
  ASSERT_FALSE(CheckHealth());
  hardware_.SetAvailable(true);
  ASSERT_OK(CheckHealth());
  EXPECT_EQ(pool_.Status().resets, 0U) << "it was away and not restarted";
  hardware_.SetNotes({.starts = 8, .concern = {}});
  ASSERT_OK(CheckHealth());
  EXPECT_EQ(pool_.Status().resets, 1U) << "it was restarted without anybody noticing";
  hardware_.SetNotes({.starts = 0, .concern = {}});
  ASSERT_OK(CheckHealth());
  EXPECT_EQ(pool_.Status().resets, 2U) << "as after TPM2_Clear";
}

TEST_F(CustodianPoolTest, AConcernStandsBesideServingAndGoesWithItsCause) {
  hardware_.SetNotes({.starts = {}, .concern = Error(ErrorCode::kLockedOut, "locked by others")});
  ASSERT_OK(CheckHealth());
  ASSERT_OK(Use());
  ASSERT_NE(pool_.Status().trouble(), nullptr);
  EXPECT_EQ(pool_.Status().trouble()->code(), ErrorCode::kLockedOut);
  EXPECT_FALSE(pool_.Status().failure);
  pool_.SetConcern(Error(ErrorCode::kPcrMismatch, "drift"));
  EXPECT_EQ(pool_.Status().trouble()->code(), ErrorCode::kLockedOut) << "its own comes first";
  hardware_.SetNotes({});
  ASSERT_OK(CheckHealth());
  ASSERT_NE(pool_.Status().trouble(), nullptr);
  EXPECT_EQ(pool_.Status().trouble()->code(), ErrorCode::kPcrMismatch);
  hardware_.SetAvailable(false);
  ASSERT_FALSE(CheckHealth());
  EXPECT_EQ(pool_.Status().trouble()->code(), ErrorCode::kCustodianUnavailable);
  hardware_.SetAvailable(true);
  ASSERT_OK(CheckHealth());
  pool_.SetConcern(std::nullopt);
  EXPECT_EQ(pool_.Status().trouble(), nullptr);
}

TEST_F(CustodianPoolTest, AnotherCauseIsLoggedAndBeginsAnew) {
  const auto fail = [this](ErrorCode code, const char* why) {
    clock_.Advance(std::chrono::seconds(60));
    ASSERT_OK(pool_.Submit(
        1, [code, why](const Result<Custodian*>&) -> Result<void> { return Fail(code, why); }));
    Settle();
  };
  ::testing::internal::CaptureStderr();
  fail(ErrorCode::kCustodianUnavailable, "it is gone");
  const WallTime gone = clock_.Now();
  fail(ErrorCode::kCustodianUnavailable, "it is gone");
  EXPECT_EQ(pool_.Status().since, gone);
  fail(ErrorCode::kPinRejected, "it refuses the PIN");
  EXPECT_EQ(pool_.Status().since, clock_.Now());
  fail(ErrorCode::kPinRejected, "one more would lock it");
  EXPECT_EQ(pool_.Status().since, clock_.Now());
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, ::testing::ContainsRegex(
                       "^[^\n]*does not serve: CustodianUnavailable: it is gone[^\n]*\n"
                       "[^\n]*does not serve: PinRejected: it refuses the PIN[^\n]*\n"
                       "[^\n]*does not serve: PinRejected: one more would lock it[^\n]*\n$"));
}

TEST_F(CustodianPoolTest, HardwareThatHangsDoesNotServeUntilItAnswers) {
  ASSERT_OK(CheckHealth());
  std::promise<void> release = Occupy();
  std::promise<void> checked;
  pool_.CheckHealth([&checked](const Result<Custodian*>&) { checked.set_value(); });
  clock_.Advance(kSilence - std::chrono::seconds(1));
  pool_.NoteSilence();
  EXPECT_FALSE(pool_.Status().failure);
  clock_.Advance(std::chrono::seconds(1));
  pool_.NoteSilence();
  ASSERT_TRUE(pool_.Status().failure);
  EXPECT_EQ(pool_.Status().failure->code(), ErrorCode::kCustodianBusy);
  EXPECT_EQ(pool_.Status().since, clock_.Now());
  EXPECT_THAT(Use(), FailsWith(ErrorCode::kCustodianBusy)) << "nobody else waits for it";
  release.set_value();
  ASSERT_EQ(checked.get_future().wait_for(kPatience), std::future_status::ready);
  pool_.Stop();  // which waits for the answer to be noted
  EXPECT_FALSE(pool_.Status().failure);
}

TEST_F(CustodianPoolTest, HardwareThatHangsBehindAFullQueueIsToldToo) {
  std::promise<void> release = Occupy();
  const auto nothing = [](const Result<Custodian*>&) -> Result<void> { return {}; };
  while (pool_.Submit(kDaemonItself, nothing)) continue;
  pool_.CheckHealth([](const Result<Custodian*>&) { ADD_FAILURE() << "there was room"; });
  clock_.Advance(kSilence);
  pool_.NoteSilence();
  ASSERT_TRUE(pool_.Status().failure);
  EXPECT_EQ(pool_.Status().failure->code(), ErrorCode::kCustodianBusy);
  release.set_value();
}

TEST_F(CustodianPoolTest, HardwareThatIsNotAskedIsNotSilent) {
  ASSERT_OK(CheckHealth());
  clock_.Advance(10 * kSilence);
  pool_.NoteSilence();
  EXPECT_FALSE(pool_.Status().failure);
}

TEST_F(CustodianPoolTest, NoMoreChecksWaitThanThereAreThreads) {
  std::promise<void> release = Occupy();
  int checks = 0;
  for (int i = 0; i < 3; ++i) pool_.CheckHealth([&checks](const Result<Custodian*>&) { ++checks; });
  release.set_value();
  Settle();
  ASSERT_OK(CheckHealth());  // which comes after those that waited
  EXPECT_EQ(checks, 1);
}

TEST(CustodianPoolWithoutHardwareTest, WhateverKeepsItFromBeingMadeKeepsItFromServing) {
  testing_support::FakeClock clock;
  CustodianPool pool(
      "hsm",
      []() -> Result<std::unique_ptr<Custodian>> {
        return Fail(ErrorCode::kConfiguration, "the PIN file is open to others");
      },
      1, clock);
  std::promise<void> told;
  pool.CheckHealth([&told](const Result<Custodian*>&) { told.set_value(); });
  told.get_future().wait();
  pool.Stop();  // which waits for the outcome to be noted
  ASSERT_TRUE(pool.Status().failure);
  EXPECT_EQ(pool.Status().failure->code(), ErrorCode::kConfiguration);
}

TEST_F(CustodianPoolTest, HardwareThatIsMissingAtFirstServesWhenItComes) {
  hardware_.SetAvailable(false);
  EXPECT_THAT(Use(), FailsWith(ErrorCode::kCustodianUnavailable));
  hardware_.SetAvailable(true);
  EXPECT_OK(Use());
}

TEST_F(CustodianPoolTest, StoppingAnswersWhatStillWaits) {
  std::promise<void> release = Occupy();
  std::promise<Result<void>> told;
  ASSERT_OK(pool_.Submit(1, [&told](const Result<Custodian*>& custodian) -> Result<void> {
    told.set_value(custodian ? Result<void>() : Fail(custodian.error()));
    return {};
  }));
  std::thread stopping([this] { pool_.Stop(); });
  const auto nothing = [](const Result<Custodian*>&) -> Result<void> { return {}; };
  Result<void> queued;
  while (queued || queued.error().code() == ErrorCode::kBusy) {  // the stop has not begun
    std::this_thread::yield();
    queued = pool_.Submit(2, nothing);
  }
  release.set_value();
  stopping.join();
  EXPECT_THAT(Await(told.get_future()), FailsWith(ErrorCode::kCustodianUnavailable));
}

TEST_F(CustodianPoolTest, AStoppedPoolTakesNothing) {
  pool_.Stop();
  EXPECT_THAT(Use(), FailsWith(ErrorCode::kCustodianUnavailable));
}

}  // namespace
}  // namespace keyward
