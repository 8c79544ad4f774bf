#include "keyd/refusal_limiter.h"

#include "keyd/audit_events.h"
#include "tests/support/matchers.h"

namespace keyward {
namespace {

using audit::EventKind;

class RefusalLimiterTest : public ::testing::Test {
 protected:
  static audit::Event Refusal(uint32_t caller) {
    return Failed(MakeEvent(EventKind::kKeyOpen, caller, "web"),
                  Error(ErrorCode::kPermissionDenied, "no"));
  }
  // How many of `count` pass.
  uint32_t Ask(uint32_t caller, uint32_t count) {
    uint32_t passed = 0;
    for (uint32_t i = 0; i < count; ++i) passed += limiter_.Admit(Refusal(caller), now_) ? 1 : 0;
    return passed;
  }
  static uint64_t CountIn(const audit::Event& event) {
    return std::get<uint64_t>(event.detail.at(0).value);
  }

  RefusalLimiter limiter_;
  MonotonicTime now_{std::chrono::hours(1)};
};

TEST_F(RefusalLimiterTest, TheFirstOfAMinutePassAndTheRestIsCounted) {
  EXPECT_EQ(Ask(1000, 500), RefusalLimiter::kOfOneCaller);
  EXPECT_TRUE(limiter_.Summaries(now_).empty());
  now_ += RefusalLimiter::kWindow;
  const std::vector<audit::Event> summaries = limiter_.Summaries(now_);
  ASSERT_EQ(summaries.size(), 1U);
  EXPECT_EQ(summaries[0].kind, EventKind::kKeyOpen);
  EXPECT_EQ(summaries[0].caller, 1000U);
  EXPECT_EQ(summaries[0].failed, ErrorCode::kPermissionDenied);
  EXPECT_EQ(CountIn(summaries[0]), 500 - RefusalLimiter::kOfOneCaller);
  EXPECT_TRUE(limiter_.Summaries(now_).empty());
  EXPECT_EQ(Ask(1000, 1), 1U);
}

TEST_F(RefusalLimiterTest, OneCallerTakesNothingFromAnother) {
  ASSERT_EQ(Ask(1000, 500), RefusalLimiter::kOfOneCaller);
  EXPECT_EQ(Ask(1001, 1), 1U);
}

TEST_F(RefusalLimiterTest, WhatIsCountedIsNotLostWhenTheNextMinuteBeginsWithoutALook) {
  Ask(1000, RefusalLimiter::kOfOneCaller + 3);
  now_ += 2 * RefusalLimiter::kWindow;
  EXPECT_EQ(Ask(1000, 1), 0U);  // counted until somebody looks
  const std::vector<audit::Event> summaries = limiter_.Summaries(now_);
  ASSERT_EQ(summaries.size(), 1U);
  EXPECT_EQ(CountIn(summaries[0]), 4U);
}

TEST_F(RefusalLimiterTest, ManyCallersTogetherAreBoundedToo) {
  uint32_t passed = 0;
  const auto callers = static_cast<uint32_t>(3 * RefusalLimiter::kMaxCallers);
  for (uint32_t caller = 0; caller < callers; ++caller) passed += Ask(caller, 1);
  EXPECT_EQ(passed, RefusalLimiter::kOfAll);
  uint64_t counted = 0;
  const std::vector<audit::Event> summaries = limiter_.Summaries(now_, true);
  EXPECT_LE(summaries.size(), RefusalLimiter::kMaxCallers + 1);
  for (const audit::Event& summary : summaries) counted += CountIn(summary);
  EXPECT_EQ(passed + counted, callers);
}

}  // namespace
}  // namespace keyward
