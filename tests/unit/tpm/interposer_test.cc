// What somebody on the bus can bring about, who changes the TPM's answers or keeps them back: that
// a call fails, and no more.
#include <atomic>

#include "core/encoding.h"
#include "tests/support/tpm_interposer.h"
#include "tests/unit/tpm/policy_signer.h"
#include "tests/unit/tpm/tpm_fixture.h"
#include "tpm/nv_index.h"

namespace keyward::tpm {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;
using testing_support::TpmInterposer;

constexpr KeyId kId = {1, 2, 3};

class InterposerTest : public TpmTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(TpmTest::SetUp());
    ASSERT_OK_AND_ASSIGN(interposer_, TpmInterposer::Start(tpm_->tcti()));
    custodian_.reset();
    ASSERT_OK_AND_ASSIGN(custodian_,
                         TpmCustodian::Create({interposer_->tcti(), state_.path()}, rng_));
  }
  void TearDown() override { custodian_.reset(); }

  Counter& counter() { return custodian_->counter(); }
  // Flips a bit of byte `at` in every answer to `command`.
  void FlipBitIn(TPM2_CC command, size_t at) {
    interposer_->SetHook([this, command, at](uint32_t code, Bytes& response) {
      if (code != command || at >= response.size()) return true;
      response[at] ^= 1;
      ++met_;
      return true;
    });
  }
  // Keeps the next answer to `command` back.
  void LoseAnswerTo(TPM2_CC command) {
    interposer_->SetHook([this, command](uint32_t code, Bytes&) {
      if (code != command || met_ > 0) return true;
      ++met_;
      return false;
    });
  }
  // Extends a PCR behind the host's back after each of the next `times` answers to `command`.
  void ExtendPcrAfter(TPM2_CC command, int times) {
    interposer_->SetHook([this, command, times](uint32_t code, Bytes&) {
      if (code != command || met_ >= times) return true;
      ++met_;
      ExtendPcr(kTestPcr);
      return true;
    });
  }
  // Gives every answer to `command` as that error.
  void AnswerWith(TPM2_CC command, TPM2_RC rc) {
    interposer_->SetHook([command, rc](uint32_t code, Bytes& response) {
      constexpr uint32_t kSize = 10;
      if (code == command) {
        response =
            Writer().Integer<uint16_t>(TPM2_ST_NO_SESSIONS).Integer(kSize).Integer(rc).Take();
      }
      return true;
    });
  }
  int Met() { return met_.exchange(0); }

  std::atomic<int> met_ = 0;
  std::unique_ptr<TpmInterposer> interposer_;
};

TEST_F(InterposerTest, CannotMakeUpTheValueOfACounter) {
  ASSERT_OK_AND_ASSIGN(const uint64_t value, counter().Create(kId));
  // Tag, size, code (10 bytes), size of the parameters (4), size of the data (2), the value (8).
  FlipBitIn(TPM2_CC_NV_Read, 23);
  EXPECT_THAT(counter().Read(kId), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(Met(), 2) << "once more on a new link";
  interposer_->SetHook(nullptr);
  EXPECT_THAT(counter().Read(kId), IsOkAndHolds(value));
}

TEST_F(InterposerTest, CannotMakeUpAPcr) {
  ASSERT_OK(custodian_->attester()->ReadPcrs({0}));
  FlipBitIn(TPM2_CC_PCR_Read, 45);
  EXPECT_THAT(custodian_->attester()->ReadPcrs({0}), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(Met(), 2);
}

TEST_F(InterposerTest, CannotShowAnotherIndexAsOurs) {
  ASSERT_OK(counter().Create(kId));
  FlipBitIn(TPM2_CC_NV_ReadPublic, 24);
  EXPECT_FALSE(counter().Increment(kId));
  EXPECT_FALSE(counter().Read(kId));
  EXPECT_GE(Met(), 2);
}

TEST_F(InterposerTest, CannotHaveACountCountedTwice) {
  ASSERT_OK_AND_ASSIGN(const uint64_t value, counter().Create(kId));
  LoseAnswerTo(TPM2_CC_NV_Increment);
  EXPECT_THAT(counter().Increment(kId), IsOkAndHolds(value + 1));
  EXPECT_EQ(Met(), 1);
  EXPECT_THAT(counter().Read(kId), IsOkAndHolds(value + 1));
}

TEST_F(InterposerTest, CannotLeaveACounterHalfMade) {
  for (const TPM2_CC command : {TPM2_CC_NV_DefineSpace, TPM2_CC_NV_Increment, TPM2_CC_NV_Read}) {
    LoseAnswerTo(command);
    ASSERT_OK_AND_ASSIGN(const uint64_t value, counter().Create(kId));
    EXPECT_EQ(Met(), 1);
    interposer_->SetHook(nullptr);
    EXPECT_THAT(counter().Increment(kId), IsOkAndHolds(value + 1));
    LoseAnswerTo(TPM2_CC_NV_UndefineSpace);
    EXPECT_OK(counter().Destroy(kId));
    EXPECT_EQ(Met(), 1);
  }
}

TEST_F(InterposerTest, CannotLeaveAMasterKeyHalfMade) {
  const PolicySigner authority;
  ASSERT_OK_AND_ASSIGN(const PublicKey key, authority.public_key());
  ASSERT_OK_AND_ASSIGN(const SecretBytes master, SecretBytes::Random(kMasterKeySize, rng_));
  ASSERT_OK_AND_ASSIGN(const PcrValues pcrs, custodian_->attester()->ReadPcrs({0}));
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, authority.Sign(pcrs));
  MasterSealer& sealer = custodian_->master_sealer();
  for (const TPM2_CC command : {TPM2_CC_NV_DefineSpace, TPM2_CC_NV_Write, TPM2_CC_NV_WriteLock}) {
    LoseAnswerTo(command);
    ASSERT_OK_AND_ASSIGN(const Bytes record, sealer.SealMaster(kId, master, key));
    EXPECT_EQ(Met(), 1);
    for (const TPM2_CC step : {TPM2_CC_PolicyPCR, TPM2_CC_PolicyAuthorize, TPM2_CC_NV_Read}) {
      LoseAnswerTo(step);
      ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                           sealer.UnsealMaster(kId, record, std::span(&policy, 1)));
      EXPECT_TRUE(opened.Equals(master.RevealSecret()));
      EXPECT_EQ(Met(), 1);
    }
    interposer_->SetHook(nullptr);
    ASSERT_OK(sealer.DestroyMaster(kId));
  }
}

// As a crash in the middle does: the id alone is enough to clean up.
TEST_F(InterposerTest, WhatStaysHalfMadeIsFoundByItsIdAndDestroyed) {
  const PolicySigner authority;
  ASSERT_OK_AND_ASSIGN(const PublicKey key, authority.public_key());
  ASSERT_OK_AND_ASSIGN(const SecretBytes master, SecretBytes::Random(kMasterKeySize, rng_));
  MasterSealer& sealer = custodian_->master_sealer();
  for (const TPM2_CC command : {TPM2_CC_NV_Write, TPM2_CC_NV_WriteLock, TPM2_CC_NV_Increment}) {
    interposer_->SetHook([command](uint32_t code, Bytes&) { return code != command; });
    const bool is_counter = command == TPM2_CC_NV_Increment;
    const auto make = [&]() -> Result<void> {
      if (is_counter) {
        KEYWARD_TRY(counter().Create(kId));
      } else {
        KEYWARD_TRY(sealer.SealMaster(kId, master, key));
      }
      return {};
    };
    EXPECT_THAT(make(), FailsWith(ErrorCode::kCustodianUnavailable));
    interposer_->SetHook(nullptr);
    EXPECT_THAT(make(), FailsWith(ErrorCode::kAlreadyExists));
    EXPECT_OK(is_counter ? counter().Destroy(kId) : sealer.DestroyMaster(kId));
    EXPECT_OK(make());
    EXPECT_OK(is_counter ? counter().Destroy(kId) : sealer.DestroyMaster(kId));
  }
}

TEST_F(InterposerTest, PcrsThatChangeMeanwhileAreReadAndQuotedAgain) {
  PcrSelection all;
  for (uint32_t pcr = 0; pcr < kPcrCount; ++pcr) all.insert(pcr);
  Attester& attester = *custodian_->attester();
  ExtendPcrAfter(TPM2_CC_PCR_Read, 2);
  ASSERT_OK_AND_ASSIGN(const PcrValues values, attester.ReadPcrs(all));
  EXPECT_EQ(Met(), 2);
  interposer_->SetHook(nullptr);
  EXPECT_THAT(attester.ReadPcrs(all), IsOkAndHolds(values));

  ExtendPcrAfter(TPM2_CC_PCR_Read, 2);
  ASSERT_OK_AND_ASSIGN(const Quote quote, attester.MakeQuote({{1}}, {kTestPcr}));
  EXPECT_EQ(Met(), 2);
  interposer_->SetHook(nullptr);
  EXPECT_THAT(attester.ReadPcrs({kTestPcr}), IsOkAndHolds(quote.pcrs));
}

TEST_F(InterposerTest, PcrsThatChangeForEverEndInBusy) {
  constexpr int kForEver = 1000;
  ExtendPcrAfter(TPM2_CC_PCR_Read, kForEver);
  EXPECT_THAT(custodian_->attester()->MakeQuote({{1}}, {kTestPcr}),
              FailsWith(ErrorCode::kCustodianBusy));
  EXPECT_THAT(custodian_->attester()->ReadPcrs({0, 1, 2, 3, 4, 5, 6, 7, kTestPcr}),
              FailsWith(ErrorCode::kCustodianBusy));
  EXPECT_LT(Met(), 20);
}

TEST_F(InterposerTest, PcrsThatChangeAfterThePolicyKeepTheMasterKeyShut) {
  constexpr KeyId kMaster = {7};
  const PolicySigner authority;
  ASSERT_OK_AND_ASSIGN(const PublicKey key, authority.public_key());
  ASSERT_OK_AND_ASSIGN(const SecretBytes master, SecretBytes::Random(kMasterKeySize, rng_));
  ASSERT_OK_AND_ASSIGN(const Bytes record,
                       custodian_->master_sealer().SealMaster(kMaster, master, key));
  ASSERT_OK_AND_ASSIGN(const PcrValues pcrs, custodian_->attester()->ReadPcrs({kTestPcr}));
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, authority.Sign(pcrs));
  ExtendPcrAfter(TPM2_CC_PolicyAuthorize, 1);
  EXPECT_THAT(custodian_->master_sealer().UnsealMaster(kMaster, record, std::span(&policy, 1)),
              FailsWith(ErrorCode::kPcrMismatch));
  EXPECT_EQ(Met(), 1);
}

TEST_F(InterposerTest, ATpmThatIsBusyForGoodSaysSo) {
  AnswerWith(TPM2_CC_GetRandom, TPM2_RC_RETRY);
  EXPECT_THAT(custodian_->CheckHealth(), FailsWith(ErrorCode::kCustodianBusy));
  interposer_->SetHook(nullptr);
  EXPECT_OK(custodian_->CheckHealth());
  ASSERT_OK(counter().Create(kId));
  AnswerWith(TPM2_CC_NV_Increment, TPM2_RC_NV_RATE);
  EXPECT_THAT(counter().Increment(kId), FailsWith(ErrorCode::kCustodianBusy));
}

}  // namespace
}  // namespace keyward::tpm
