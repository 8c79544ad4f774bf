#include "tests/unit/tpm/tpm_fixture.h"
#include "tpm/templates.h"

namespace keyward::tpm {
namespace {

class ConditionTest : public TpmTest {};

TEST_F(ConditionTest, ARestartIsSeenAndNothingElseTakesItsPlace) {
  EXPECT_FALSE(custodian_->Notes().starts) << "nobody asked yet";
  ASSERT_OK(custodian_->CheckHealth());
  const std::optional<uint64_t> first = custodian_->Notes().starts;
  ASSERT_TRUE(first);
  ASSERT_OK(custodian_->CheckHealth());
  EXPECT_EQ(custodian_->Notes().starts, first);
  custodian_.reset();
  ASSERT_OK_AND_ASSIGN(custodian_, Connect());
  ASSERT_OK(custodian_->CheckHealth());
  EXPECT_EQ(custodian_->Notes().starts, first) << "a new connection is no restart";
  ASSERT_OK(RestartTpm());
  ASSERT_OK(custodian_->CheckHealth());
  EXPECT_NE(custodian_->Notes().starts, first);
  EXPECT_FALSE(custodian_->Notes().concern);
}

TEST(TemplatesTest, WhateverAnAuthorizationOpensIsExemptFromLockout) {
  std::vector<TPM2B_PUBLIC> areas = {StoragePrimaryTemplate(), AttestationKeyTemplate(),
                                     SealedTemplate()};
  for (const Algorithm algorithm :
       {Algorithm::kEcdsaP256, Algorithm::kEcdsaP384, Algorithm::kRsaPss2048}) {
    ASSERT_OK_AND_ASSIGN(const TPM2B_PUBLIC area, SigningTemplate(algorithm));
    areas.push_back(area);
  }
  for (const TPM2B_PUBLIC& area : areas) {
    EXPECT_NE(area.publicArea.objectAttributes & TPMA_OBJECT_NODA, 0U);
  }
}

}  // namespace
}  // namespace keyward::tpm
