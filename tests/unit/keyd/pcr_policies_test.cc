#include "keyd/pcr_policies.h"

#include <array>

#include "core/file.h"
#include "tests/fakes/fake_custodian.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

class PcrPoliciesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(custodian_, hardware_.Make());
    ASSERT_OK_AND_ASSIGN(authority_, custodian_->signer().GenerateKey(Algorithm::kEcdsaP256, {1}));
    ASSERT_OK_AND_ASSIGN(other_, custodian_->signer().GenerateKey(Algorithm::kEcdsaP256, {2}));
  }
  // The state in which PCR 7 has the value `state`.
  SignedPcrPolicy Signed(uint8_t state, const GeneratedKey& by) {
    SignedPcrPolicy policy{};
    policy.pcrs = {7};
    policy.digest = DigestOfPcrPolicy({{7, PcrValue{state}}}).value();
    policy.signature = custodian_->signer().Sign(by.reference, policy.digest).value();
    return policy;
  }
  PcrPolicies Read() { return PcrPolicies::Read(path()).value(); }
  std::string path() const { return directory_.File("pcr-policies"); }
  const PublicKey& authority() const { return authority_->public_key; }

  testing_support::TempDir directory_;
  fakes::FakeHardware hardware_;
  std::unique_ptr<Custodian> custodian_;
  std::optional<GeneratedKey> authority_;
  std::optional<GeneratedKey> other_;
};

TEST_F(PcrPoliciesTest, WhatWasAddedLastComesFirstAndLasts) {
  PcrPolicies policies = Read();
  EXPECT_TRUE(policies.all().empty());
  for (const uint8_t state : std::array<uint8_t, 2>{1, 2}) {
    ASSERT_OK(policies.Add(Signed(state, *authority_), authority()));
  }
  const PcrPolicies after = Read();
  ASSERT_EQ(after.all().size(), 2U);
  EXPECT_EQ(after.all()[0].digest, Signed(2, *authority_).digest);
  EXPECT_EQ(after.all()[0].pcrs, PcrSelection{7});
  EXPECT_OK(VerifyPcrPolicy(after.all()[1], authority()));
}

TEST_F(PcrPoliciesTest, OneStateStandsOnce) {
  PcrPolicies policies = Read();
  for (const uint8_t state : std::array<uint8_t, 3>{1, 2, 1}) {
    ASSERT_OK(policies.Add(Signed(state, *authority_), authority()));
  }
  EXPECT_EQ(Read().all().size(), 2U);
}

TEST_F(PcrPoliciesTest, TheOldestGoesWhenThereAreTooMany) {
  PcrPolicies policies = Read();
  for (uint8_t state = 0; state < kMaxPcrPolicies + 2; ++state) {
    ASSERT_OK(policies.Add(Signed(state, *authority_), authority()));
  }
  ASSERT_EQ(Read().all().size(), kMaxPcrPolicies);
  EXPECT_EQ(Read().all().back().digest, Signed(2, *authority_).digest);
}

TEST_F(PcrPoliciesTest, WhatTheAuthorityDidNotSignIsRefused) {
  PcrPolicies policies = Read();
  EXPECT_THAT(policies.Add(Signed(1, *other_), authority()),
              FailsWith(ErrorCode::kAuthenticationFailed));
  SignedPcrPolicy exchanged = Signed(1, *authority_);
  exchanged.digest = Signed(2, *authority_).digest;
  EXPECT_THAT(policies.Add(exchanged, authority()), FailsWith(ErrorCode::kAuthenticationFailed));
  SignedPcrPolicy empty = Signed(1, *authority_);
  empty.pcrs.clear();
  EXPECT_THAT(policies.Add(empty, authority()), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_TRUE(Read().all().empty());
}

TEST_F(PcrPoliciesTest, ADamagedFileIsRefused) {
  PcrPolicies policies = Read();
  ASSERT_OK(policies.Add(Signed(1, *authority_), authority()));
  Bytes bytes = Encode(policies.all());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(DecodePcrPolicies(ByteView(bytes).first(size)), FailsWith(ErrorCode::kDataCorrupt));
  }
  bytes.push_back(0);
  ASSERT_OK(ReplaceFile(path(), bytes));
  EXPECT_THAT(PcrPolicies::Read(path()), FailsWith(ErrorCode::kDataCorrupt));
}

}  // namespace
}  // namespace keyward
