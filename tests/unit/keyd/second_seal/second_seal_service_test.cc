#include "keyd/second_seal/second_seal_service.h"

#include <gmock/gmock.h>

#include <atomic>

#include "tests/unit/keyd/second_seal/second_seal_fixture.h"

namespace keyward {
namespace {

using ::testing::HasSubstr;
using testing_support::FailsWith;
using testing_support::RecoveryPair;

class SecondSealServiceTest : public testing_support::SecondSealFixture {
 protected:
  void SetUp() override {
    SecondSealFixture::SetUp();
    ASSERT_OK(Start());
  }
};

TEST_F(SecondSealServiceTest, SealsInTheOtherCustodianAndForgets) {
  EXPECT_FALSE(service_->Show()->second);
  ASSERT_OK(MakeInHsm());
  EXPECT_EQ(hsm_.MasterCount(), 1U);
  EXPECT_EQ(service_->Show()->custodian, "tpm");
  EXPECT_EQ(service_->Show()->second->place, "hsm");
  EXPECT_THAT(AuditLog(), HasSubstr(R"("event":"master.seal","caller":1000)"));
  ASSERT_OK(Forget());
  EXPECT_EQ(hsm_.MasterCount(), 0U);
  EXPECT_EQ(tpm_.MasterCount(), 1U);
  EXPECT_FALSE(service_->Show()->second);
  EXPECT_THAT(AuditLog(), HasSubstr(R"("event":"master.forget","caller":1000)"));
}

TEST_F(SecondSealServiceTest, SealsForARecoveryCertificate) {
  ASSERT_OK(MakeForRecovery());
  ASSERT_OK_AND_ASSIGN(const auto certificates,
                       backup::RecoveryCertificate::FromPem(AsBytes(certificate_)));
  EXPECT_EQ(service_->Show()->second->holder, certificates.front().Fingerprint());
  EXPECT_EQ(hsm_.MasterCount(), 0U);
  ASSERT_OK(Forget());
  EXPECT_FALSE(IsThere(kSecondFile));
}

TEST_F(SecondSealServiceTest, ThereIsOneAndItIsElsewhere) {
  EXPECT_THAT(Make({"tpm", {1}}), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Make({"disk", {}}), FailsWith(ErrorCode::kConfiguration));
  EXPECT_THAT(Make({"hsm", {1}}), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Make({kInRecovery, {1}}), FailsWith(ErrorCode::kMalformed));
  const std::string two = certificate_ + RecoveryPair::Ec().CertificatePem();
  EXPECT_THAT(Make({kInRecovery, ToBytes(AsBytes(two))}), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_FALSE(IsThere(kSecondFile));
  ASSERT_OK(MakeInHsm());
  EXPECT_THAT(MakeForRecovery(), FailsWith(ErrorCode::kAlreadyExists));
  EXPECT_EQ(service_->Show()->second->place, "hsm");
  EXPECT_THAT(AuditLog(), HasSubstr(R"("outcome":"AlreadyExists")"));
}

TEST_F(SecondSealServiceTest, WhatCannotBeMadeLeavesNothing) {
  hsm_.SetAvailable(false);
  EXPECT_THAT(MakeInHsm(), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_FALSE(IsThere(kSecondFile));
  EXPECT_THAT(AuditLog(), HasSubstr(R"("outcome":"CustodianUnavailable")"));
  hsm_.SetAvailable(true);
  ASSERT_OK(MakeInHsm());
  ASSERT_OK(Forget());
  tpm_.SetAvailable(false);
  EXPECT_THAT(MakeInHsm(), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(hsm_.MasterCount(), 0U);
}

// As when keyd was killed before the file was written.
TEST_F(SecondSealServiceTest, WhatAKillLeftInTheHardwareIsReplacedOrForgotten) {
  ASSERT_OK(MakeInHsm());
  ASSERT_OK(RemoveFile(Folder() / kSecondFile));
  ASSERT_OK(MakeInHsm());
  EXPECT_EQ(hsm_.MasterCount(), 1U);
  ASSERT_OK(RemoveFile(Folder() / kSecondFile));
  ASSERT_OK(Forget());
  EXPECT_EQ(hsm_.MasterCount(), 0U);
  EXPECT_EQ(tpm_.MasterCount(), 1U);
}

TEST_F(SecondSealServiceTest, HardwareThatIsAwayForgetsNothingUnlessItIsLost) {
  ASSERT_OK(MakeInHsm());
  hsm_.SetAvailable(false);
  EXPECT_THAT(Forget(), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_TRUE(IsThere(kSecondFile));
  ASSERT_OK(Forget(true));
  EXPECT_FALSE(IsThere(kSecondFile));
}

TEST_F(SecondSealServiceTest, ASealThatComesMeanwhileLeavesNothing) {
  EXPECT_THAT(Wait([this](const auto& done) {
                service_->Make({"hsm", {}}, kCaller, done);
                EXPECT_THAT(Forget(), FailsWith(ErrorCode::kBusy));
                EXPECT_OK(unsealer_->Seal());
              }),
              FailsWith(ErrorCode::kSealed));
  EXPECT_EQ(hsm_.MasterCount(), 0U);
  EXPECT_FALSE(IsThere(kSecondFile));
  EXPECT_THAT(MakeInHsm(), FailsWith(ErrorCode::kSealed));
  EXPECT_EQ(service_->Show()->custodian, "tpm");
}

TEST_F(SecondSealServiceTest, ASealWipesTheMasterKeyThatWaitsForHardware) {
  const size_t sealed = SecretsWhenSealed();
  std::atomic<int> asked = 0;
  hooks_.sealing_master = [&asked] { ++asked; };
  testing_support::SilentHardware silent;
  Silence("hsm", silent);
  EXPECT_THAT(Wait([&](const auto& done) {
                service_->Make({"hsm", {}}, kCaller, done);
                Settle("tpm");  // which has released it by now
                EXPECT_OK(unsealer_->Seal());
                EXPECT_EQ(GetSecretMemoryUse().used, sealed);
                silent.Answer();
              }),
              FailsWith(ErrorCode::kSealed));
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(hsm_.MasterCount(), 0U);
  EXPECT_FALSE(IsThere(kSecondFile));
}

TEST_F(SecondSealServiceTest, ASealWaitsForNoHardwareThatHasTheMasterKeyInItsHands) {
  const size_t sealed = SecretsWhenSealed();
  testing_support::SilentHardware silent;
  hooks_.sealing_master = [&silent] { silent.Hold(); };
  EXPECT_THAT(Wait([&](const auto& done) {
                service_->Make({"hsm", {}}, kCaller, done);
                Settle("tpm");
                silent.AwaitReached();
                EXPECT_OK(unsealer_->Seal());
                silent.Answer();
              }),
              FailsWith(ErrorCode::kSealed));
  EXPECT_EQ(GetSecretMemoryUse().used, sealed);
  EXPECT_EQ(hsm_.MasterCount(), 0U);
  EXPECT_FALSE(IsThere(kSecondFile));
}

// Also where the service was unsealed again before the hardware answers.
TEST_F(SecondSealServiceTest, NothingThatWasBegunGoesOnAfterASeal) {
  testing_support::SilentHardware silent;
  Silence("hsm", silent);
  EXPECT_THAT(Wait([&](const auto& done) {
                service_->Make({"hsm", {}}, kCaller, done);
                Settle("tpm");
                EXPECT_OK(unsealer_->Seal());
                EXPECT_OK(Wait([this](const auto& told) { unsealer_->Unseal(kCaller, told); }));
                silent.Answer();
              }),
              FailsWith(ErrorCode::kSealed));
  EXPECT_EQ(hsm_.MasterCount(), 0U);
  EXPECT_FALSE(IsThere(kSecondFile));
  EXPECT_OK(MakeInHsm());
}

TEST_F(SecondSealServiceTest, AfterASealNoMasterKeyIsReleasedForWhatWaited) {
  std::atomic<int> released = 0;
  hooks_.unsealing_master = [&released] { ++released; };
  testing_support::SilentHardware silent;
  Silence("tpm", silent);
  EXPECT_THAT(Wait([&](const auto& done) {
                service_->Make({"hsm", {}}, kCaller, done);
                EXPECT_OK(unsealer_->Seal());
                unsealer_->Unseal(kCaller, [](const Result<void>&) {});
                EXPECT_OK(unsealer_->Seal());
                silent.Answer();
              }),
              FailsWith(ErrorCode::kSealed));
  Settle("tpm");
  EXPECT_EQ(released, 0);
}

TEST_F(SecondSealServiceTest, ZeroizingDestroysBothSeals) {
  ASSERT_OK(MakeInHsm());
  ASSERT_OK(Zeroize());
  EXPECT_EQ(tpm_.MasterCount(), 0U);
  EXPECT_EQ(hsm_.MasterCount(), 0U);
  EXPECT_FALSE(IsThere(kSecondFile));
}

TEST_F(SecondSealServiceTest, ZeroizingIsNotDoneWhileTheSecondHardwareIsAway) {
  ASSERT_OK(MakeInHsm());
  hsm_.SetAvailable(false);
  EXPECT_THAT(Zeroize(), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(tpm_.MasterCount(), 0U);
  EXPECT_TRUE(IsThere(kSecondFile));
  hsm_.SetAvailable(true);
  ASSERT_OK(Zeroize());
  EXPECT_EQ(hsm_.MasterCount(), 0U);
  EXPECT_FALSE(IsThere(kSecondFile));
}

TEST_F(SecondSealServiceTest, ZeroizingRemovesARecoverySeal) {
  ASSERT_OK(MakeForRecovery());
  ASSERT_OK(Zeroize());
  EXPECT_FALSE(IsThere(kSecondFile));
}

TEST_F(SecondSealServiceTest, ZeroizingDestroysASealWhoseFileIsGone) {
  ASSERT_OK(MakeInHsm());
  ASSERT_OK(RemoveFile(Folder() / kSecondFile));
  ASSERT_OK(Zeroize());
  EXPECT_TRUE(testing_support::RunPostedUntil(*posts_, [&] { return hsm_.MasterCount() == 0; }));
}

TEST_F(SecondSealServiceTest, AnAlteredFileIsToldAndForgottenAsLostAlone) {
  ASSERT_OK(MakeInHsm());
  Put(kSecondFile, {1, 2, 3});
  EXPECT_THAT(service_->Show(), FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_THAT(Forget(), FailsWith(ErrorCode::kDataCorrupt));
  ASSERT_OK(Forget(true));
  EXPECT_EQ(hsm_.MasterCount(), 0U);
  EXPECT_FALSE(IsThere(kSecondFile));
}

}  // namespace
}  // namespace keyward
