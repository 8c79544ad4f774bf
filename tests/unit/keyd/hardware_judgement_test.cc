#include "keyd/hardware_judgement.h"

#include "tests/support/matchers.h"

namespace keyward {
namespace {

constexpr uint64_t kEpoch = 41;

std::optional<ErrorCode> CodeOf(const std::optional<Error>& concern) {
  return concern ? std::optional(concern->code()) : std::nullopt;
}

SignedPcrPolicy PolicyOver(const PcrValues& values) {
  SignedPcrPolicy policy{{}, DigestOfPcrPolicy(values).value(), {}};
  for (const auto& [pcr, value] : values) policy.pcrs.insert(pcr);
  return policy;
}

TEST(JudgeCounterTest, TheEpochAndTheOneBeforeAreWell) {
  EXPECT_EQ(CodeOf(JudgeCounter(kEpoch, kEpoch)), std::nullopt);
  EXPECT_EQ(CodeOf(JudgeCounter(kEpoch - 1, kEpoch)), std::nullopt);
}

TEST(JudgeCounterTest, AnyOtherValueIsAnotherHistory) {
  for (const uint64_t value : {uint64_t{0}, kEpoch - 2, kEpoch + 1, ~uint64_t{0}}) {
    EXPECT_EQ(CodeOf(JudgeCounter(value, kEpoch)), ErrorCode::kRolledBack) << value;
  }
}

TEST(JudgeCounterTest, ACounterThatIsGoneMeansOtherHardware) {
  EXPECT_EQ(CodeOf(JudgeCounter(Fail(ErrorCode::kNotFound, "no such counter"), kEpoch)),
            ErrorCode::kCustodianCleared);
}

TEST(JudgeCounterTest, AnAnswerThatFailsSaysNothing) {
  for (const ErrorCode code : {ErrorCode::kCustodianUnavailable, ErrorCode::kCustodianBusy}) {
    EXPECT_EQ(CodeOf(JudgeCounter(Fail(code, "later"), kEpoch)), std::nullopt);
    EXPECT_FALSE(TellsOfCounter(Fail(code, "later")));
  }
  EXPECT_TRUE(TellsOfCounter(Fail(ErrorCode::kNotFound, "no such counter")));
  EXPECT_TRUE(TellsOfCounter(kEpoch));
}

TEST(JudgeKeyTest, AKeyThatIsGoneMeansThatTheHardwareWasCleared) {
  EXPECT_EQ(CodeOf(JudgeKey(true)), std::nullopt);
  EXPECT_EQ(CodeOf(JudgeKey(false)), ErrorCode::kCustodianCleared);
}

TEST(JudgePcrsTest, OneSignedStateOfSeveralIsEnough) {
  const std::vector<SignedPcrPolicy> policies = {PolicyOver({{7, PcrValue{1}}}),
                                                 PolicyOver({{7, PcrValue{2}}})};
  EXPECT_EQ(CodeOf(JudgePcrs(policies, {{4, PcrValue{9}}, {7, PcrValue{2}}})), std::nullopt);
  EXPECT_EQ(CodeOf(JudgePcrs(policies, {{4, PcrValue{9}}, {7, PcrValue{3}}})),
            ErrorCode::kPcrMismatch);
}

TEST(JudgePcrsTest, WhatIsNotKnownIsNoConcern) {
  EXPECT_EQ(CodeOf(JudgePcrs({}, {{7, PcrValue{}}})), std::nullopt);
  const SignedPcrPolicy policy = PolicyOver({{0, PcrValue{}}, {7, PcrValue{}}});
  EXPECT_EQ(CodeOf(JudgePcrs(std::span(&policy, 1), {{7, PcrValue{1}}})), std::nullopt);
}

}  // namespace
}  // namespace keyward
