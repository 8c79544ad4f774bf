// What somebody on the bus can bring about, who changes the TPM's answers or keeps them back: that
// a call fails, and no more.
#include <atomic>

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
  ASSERT_OK(custodian_->attester().ReadPcrs({0}));
  FlipBitIn(TPM2_CC_PCR_Read, 45);
  EXPECT_THAT(custodian_->attester().ReadPcrs({0}), FailsWith(ErrorCode::kCustodianUnavailable));
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
  ASSERT_OK_AND_ASSIGN(const PcrValues pcrs, custodian_->attester().ReadPcrs({0}));
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

}  // namespace
}  // namespace keyward::tpm
