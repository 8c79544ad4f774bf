// core/custodian.h, sentence by sentence.
#include <thread>

#include "tests/conformance/conformance_test.h"

namespace keyward::conformance {
namespace {

using testing_support::FailsWith;

const ByteView kContext = AsBytes("context");
const ByteView kMessage = AsBytes("a message");

TEST_P(BackendConformance, SaysWhatItIsAndThatItIsWell) {
  EXPECT_OK(custodian_->CheckHealth());
  EXPECT_FALSE(custodian_->Describe().empty());
}

TEST_P(BackendConformance, EveryCallSaysThatTheHardwareIsGone) {
  const KeyId id = NewId();
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(AnyAlgorithm(), id));
  ASSERT_OK_AND_ASSIGN(const Bytes blob, sealer().Seal(NewSecret(32), kContext));
  backend_->TakeAway();
  const auto unavailable = FailsWith(ErrorCode::kCustodianUnavailable);
  EXPECT_THAT(signer().Sign(key.reference, kMessage), unavailable);
  EXPECT_THAT(signer().Sign(key.reference, kMessage), unavailable) << "also the second time";
  EXPECT_THAT(sealer().Unseal(blob, kContext), unavailable);
  EXPECT_THAT(sealer().Seal(NewSecret(32), kContext), unavailable);
  EXPECT_THAT(signer().GenerateKey(AnyAlgorithm(), NewId()), unavailable);
  EXPECT_THAT(custodian_->CheckHealth(), unavailable);
  if (backend_->HoldsKeys()) {
    EXPECT_THAT(signer().DestroyKey(key.reference), unavailable) << "nothing was destroyed";
    EXPECT_THAT(signer().DestroyUnrecorded(std::span(&id, 1)), unavailable);
  }
  EXPECT_FALSE(custodian_->Describe().empty());
}

// The first call after the loss is the one that notices it, whichever it is.
TEST_P(BackendConformance, ALossIsNoticedByTheFirstCallOfEachKind) {
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(AnyAlgorithm(), NewId()));
  ASSERT_OK_AND_ASSIGN(const Bytes blob, sealer().Seal(NewSecret(32), kContext));
  const auto unavailable = FailsWith(ErrorCode::kCustodianUnavailable);
  const auto lost = [&](const auto& call) {
    backend_->TakeAway();
    EXPECT_THAT(call(), unavailable);
    backend_->BringBack();
    EXPECT_OK(custodian_->CheckHealth());
  };
  lost([&] { return sealer().Unseal(blob, kContext); });
  lost([&] { return sealer().Seal(NewSecret(8), kContext); });
  lost([&] { return custodian_->CheckHealth(); });
  lost([&] { return signer().GenerateKey(AnyAlgorithm(), NewId()); });
  if (backend_->HoldsKeys()) lost([&] { return signer().DestroyKey(key.reference); });
  EXPECT_OK(signer().Sign(key.reference, kMessage));
}

TEST_P(BackendConformance, ServesAgainByItselfWhenTheHardwareIsBack) {
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(AnyAlgorithm(), NewId()));
  const SecretBytes secret = NewSecret(32);
  ASSERT_OK_AND_ASSIGN(const Bytes blob, sealer().Seal(secret, kContext));
  for (int round = 0; round < 2; ++round) {
    backend_->TakeAway();
    EXPECT_THAT(signer().Sign(key.reference, kMessage),
                FailsWith(ErrorCode::kCustodianUnavailable));
    backend_->BringBack();
    ASSERT_OK_AND_ASSIGN(const Bytes signature, signer().Sign(key.reference, kMessage));
    EXPECT_OK(key.public_key.Verify(kMessage, signature));
    ASSERT_OK_AND_ASSIGN(const SecretBytes out, sealer().Unseal(blob, kContext));
    EXPECT_TRUE(out.Equals(secret.RevealSecret()));
    EXPECT_OK(custodian_->CheckHealth());
  }
}

TEST_P(BackendConformance, AnAbsenceThatNobodyNoticedCostsNothing) {
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(AnyAlgorithm(), NewId()));
  backend_->TakeAway();
  backend_->BringBack();
  EXPECT_OK(signer().Sign(key.reference, kMessage));
}

TEST_P(BackendConformance, CannotBeMadeWithoutTheHardwareAndCanAfter) {
  custodian_.reset();
  backend_->TakeAway();
  EXPECT_THAT(backend_->Make(), FailsWith(ErrorCode::kCustodianUnavailable));
  backend_->BringBack();
  custodian_ = MakeCustodian();
  ASSERT_NE(custodian_, nullptr);
  EXPECT_OK(custodian_->CheckHealth());
}

TEST_P(BackendConformance, AllCustodiansComeBackAfterALoss) {
  if (backend_->MaxCustodians() < 2) GTEST_SKIP() << "serves one custodian at a time";
  const std::unique_ptr<Custodian> other = MakeCustodian();
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(AnyAlgorithm(), NewId()));
  ASSERT_OK(other->signer().Sign(key.reference, kMessage));
  backend_->TakeAway();
  EXPECT_THAT(custodian_->CheckHealth(), FailsWith(ErrorCode::kCustodianUnavailable));
  backend_->BringBack();
  EXPECT_OK(signer().Sign(key.reference, kMessage));
  EXPECT_OK(other->signer().Sign(key.reference, kMessage)) << "this one slept through it";
}

TEST_P(BackendConformance, ThreadsWithACustodianEachDoNotDisturbEachOther) {
  if (backend_->MaxCustodians() < 2) GTEST_SKIP() << "serves one custodian at a time";
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(AnyAlgorithm(), NewId()));
  const auto work = [&] {
    const auto own = backend_->Make();
    ASSERT_OK(own);
    for (int i = 0; i < 100; ++i) {
      const Bytes message = RandomBytes(rng_, 32);
      ASSERT_OK_AND_ASSIGN(const Bytes signature, (*own)->signer().Sign(key.reference, message));
      ASSERT_OK(key.public_key.Verify(message, signature));
      const SecretBytes secret = NewSecret(16);
      ASSERT_OK_AND_ASSIGN(const Bytes blob, (*own)->sealer().Seal(secret, kContext));
      ASSERT_OK((*own)->sealer().Unseal(blob, kContext));
    }
  };
  std::thread first(work);
  std::thread second(work);
  first.join();
  second.join();
  // Two first uses at once must not have made two wrapping keys.
  ASSERT_OK(sealer().Seal(NewSecret(16), kContext));
}

}  // namespace
}  // namespace keyward::conformance
