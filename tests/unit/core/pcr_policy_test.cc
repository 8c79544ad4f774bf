#include "core/pcr_policy.h"

#include <gtest/gtest.h>

#include "core/encoding.h"
#include "tests/support/matchers.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

TEST(PcrPolicyTest, MarshalsASelectionAsTheTpmDoes) {
  ASSERT_OK_AND_ASSIGN(const Bytes selection, MarshalPcrSelection({0, 7, 23}));
  EXPECT_EQ(ToHex(selection), "00000001000b03810080");
}

TEST(PcrPolicyTest, RefusesNoPcrAndOneThatDoesNotExist) {
  EXPECT_THAT(MarshalPcrSelection({}), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(MarshalPcrSelection({24}), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(DigestOfPcrPolicy({}), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(PcrPolicyTest, EveryValueAndEveryIndexCounts) {
  const PcrValue zero{};
  PcrValue one{};
  one.back() = 1;
  ASSERT_OK_AND_ASSIGN(const PcrPolicyDigest first, DigestOfPcrPolicy({{0, zero}, {7, zero}}));
  ASSERT_OK_AND_ASSIGN(const PcrPolicyDigest value, DigestOfPcrPolicy({{0, zero}, {7, one}}));
  ASSERT_OK_AND_ASSIGN(const PcrPolicyDigest index, DigestOfPcrPolicy({{0, zero}, {8, zero}}));
  EXPECT_NE(first, value);
  EXPECT_NE(first, index);
}

TEST(PcrPolicyTest, AStateIsRecognisedAmongOtherPcrs) {
  const PcrValues signed_values = {{0, PcrValue{1}}, {7, PcrValue{2}}};
  ASSERT_OK_AND_ASSIGN(const PcrPolicyDigest digest, DigestOfPcrPolicy(signed_values));
  PcrValues now = signed_values;
  now[4] = PcrValue{3};
  EXPECT_EQ(IsInState(now, {0, 7}, digest), true);
  now[7] = PcrValue{9};
  EXPECT_EQ(IsInState(now, {0, 7}, digest), false);
  now.erase(7);
  EXPECT_EQ(IsInState(now, {0, 7}, digest), std::nullopt);
}

}  // namespace
}  // namespace keyward
