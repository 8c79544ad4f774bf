// core/signer.h, sentence by sentence.
#include <algorithm>
#include <set>

#include "tests/conformance/conformance_test.h"

namespace keyward::conformance {
namespace {

using ::testing::AnyOf;
using testing_support::FailsWith;

constexpr std::array kAllAlgorithms = {Algorithm::kEd25519, Algorithm::kEcdsaP256,
                                       Algorithm::kEcdsaP384, Algorithm::kRsaPss2048};
const ByteView kMessage = AsBytes("a message");

TEST_P(BackendConformance, SignsWithEachAlgorithmThatItLists) {
  ASSERT_FALSE(signer().SigningAlgorithms().empty());
  for (const Algorithm algorithm : signer().SigningAlgorithms()) {
    SCOPED_TRACE(Name(algorithm));
    ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(algorithm, NewId()));
    EXPECT_EQ(key.public_key.algorithm(), algorithm);
    for (const size_t size : std::initializer_list<size_t>{0, 1, 32, 129, 16384}) {
      const Bytes message = RandomBytes(rng_, size);
      ASSERT_OK_AND_ASSIGN(const Bytes signature, signer().Sign(key.reference, message));
      EXPECT_OK(key.public_key.Verify(message, signature)) << size;
    }
  }
}

TEST_P(BackendConformance, ASignatureIsOfItsMessageAlone) {
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(AnyAlgorithm(), NewId()));
  ASSERT_OK_AND_ASSIGN(const Bytes signature, signer().Sign(key.reference, kMessage));
  EXPECT_THAT(key.public_key.Verify(AsBytes("another message"), signature),
              FailsWith(ErrorCode::kAuthenticationFailed));
}

TEST_P(BackendConformance, RefusesAlgorithmsThatItDoesNotList) {
  const std::vector<Algorithm> listed = signer().SigningAlgorithms();
  const std::set<Algorithm> unique(listed.begin(), listed.end());
  EXPECT_EQ(unique.size(), listed.size()) << "an algorithm is listed twice";
  for (const Algorithm algorithm : kAllAlgorithms) {
    if (unique.contains(algorithm)) continue;
    EXPECT_THAT(signer().GenerateKey(algorithm, NewId()), FailsWith(ErrorCode::kNotSupported))
        << Name(algorithm);
  }
  EXPECT_THAT(signer().GenerateKey(Algorithm{99}, NewId()), FailsWith(ErrorCode::kNotSupported));
}

TEST_P(BackendConformance, KeysAreIndependentOfEachOther) {
  ASSERT_OK_AND_ASSIGN(const GeneratedKey first, signer().GenerateKey(AnyAlgorithm(), NewId()));
  ASSERT_OK_AND_ASSIGN(const GeneratedKey second, signer().GenerateKey(AnyAlgorithm(), NewId()));
  EXPECT_NE(first.public_key, second.public_key);
  EXPECT_NE(first.reference, second.reference);
  ASSERT_OK_AND_ASSIGN(const Bytes signature, signer().Sign(second.reference, kMessage));
  EXPECT_THAT(first.public_key.Verify(kMessage, signature),
              FailsWith(ErrorCode::kAuthenticationFailed));
}

TEST_P(BackendConformance, AReferenceIsBoundedAndServesALaterCustodian) {
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(AnyAlgorithm(), NewId()));
  EXPECT_LE(key.reference.size(), kMaxKeyReference);
  custodian_.reset();
  custodian_ = MakeCustodian();
  ASSERT_OK_AND_ASSIGN(const Bytes signature, signer().Sign(key.reference, kMessage));
  EXPECT_OK(key.public_key.Verify(kMessage, signature));
}

TEST_P(BackendConformance, AnIdNamesOneKeyForEver) {
  if (!backend_->HoldsKeys()) {
    GTEST_SKIP() << "it holds no keys, so it cannot know which ids were used: keyd's store does";
  }
  const KeyId id = NewId();
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(AnyAlgorithm(), id));
  EXPECT_THAT(signer().GenerateKey(AnyAlgorithm(), id), FailsWith(ErrorCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(const Bytes signature, signer().Sign(key.reference, kMessage));
  EXPECT_OK(key.public_key.Verify(kMessage, signature)) << "the first key was harmed";
}

TEST_P(BackendConformance, ADestroyedKeySignsNoMore) {
  ASSERT_OK_AND_ASSIGN(const GeneratedKey kept, signer().GenerateKey(AnyAlgorithm(), NewId()));
  ASSERT_OK_AND_ASSIGN(const GeneratedKey gone, signer().GenerateKey(AnyAlgorithm(), NewId()));
  ASSERT_OK(signer().Sign(gone.reference, kMessage));
  EXPECT_OK(signer().DestroyKey(gone.reference));
  EXPECT_OK(signer().DestroyKey(gone.reference)) << "gone already is success";
  if (backend_->HoldsKeys()) {
    EXPECT_THAT(signer().Sign(gone.reference, kMessage), FailsWith(ErrorCode::kNotFound));
  }
  EXPECT_OK(signer().Sign(kept.reference, kMessage));
}

TEST_P(BackendConformance, AKeyThatAnotherCustodianDestroyedIsGone) {
  if (backend_->MaxCustodians() < 2 || !backend_->HoldsKeys()) {
    GTEST_SKIP() << "needs keys held in hardware and two custodians at once";
  }
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(AnyAlgorithm(), NewId()));
  ASSERT_OK(signer().Sign(key.reference, kMessage));
  const std::unique_ptr<Custodian> other = MakeCustodian();
  ASSERT_OK(other->signer().DestroyKey(key.reference));
  EXPECT_THAT(signer().Sign(key.reference, kMessage), FailsWith(ErrorCode::kNotFound));
  EXPECT_OK(custodian_->CheckHealth());
}

TEST_P(BackendConformance, AReferenceThatDoesNotParseIsCorruptData) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{15}, size_t{17}, kMaxKeyReference + 1}) {
    const KeyReference reference = RandomBytes(rng_, size);
    EXPECT_THAT(signer().Sign(reference, kMessage), FailsWith(ErrorCode::kDataCorrupt)) << size;
    EXPECT_THAT(signer().DestroyKey(reference), FailsWith(ErrorCode::kDataCorrupt)) << size;
  }
}

TEST_P(BackendConformance, AReferenceThatWasChangedSignsNothing) {
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer().GenerateKey(AnyAlgorithm(), NewId()));
  for (size_t i = 0; i < key.reference.size(); i += 1 + key.reference.size() / 16) {
    KeyReference changed = key.reference;
    changed[i] ^= 1;
    EXPECT_THAT(signer().Sign(changed, kMessage),
                AnyOf(FailsWith(ErrorCode::kNotFound), FailsWith(ErrorCode::kDataCorrupt)))
        << "byte " << i;
  }
  EXPECT_OK(signer().Sign(key.reference, kMessage));
}

TEST_P(BackendConformance, TheSweepTakesWhatWasAnnouncedAndNothingElse) {
  const KeyId recorded_id = NewId();
  const KeyId lost_id = NewId();
  ASSERT_OK_AND_ASSIGN(const GeneratedKey recorded,
                       signer().GenerateKey(AnyAlgorithm(), recorded_id));
  ASSERT_OK_AND_ASSIGN(const GeneratedKey lost, signer().GenerateKey(AnyAlgorithm(), lost_id));
  EXPECT_OK(signer().DestroyUnrecorded({}));
  const std::array announced = {lost_id, NewId()};
  EXPECT_OK(signer().DestroyUnrecorded(announced));
  EXPECT_OK(signer().Sign(recorded.reference, kMessage));
  if (backend_->HoldsKeys()) {
    EXPECT_THAT(signer().Sign(lost.reference, kMessage), FailsWith(ErrorCode::kNotFound));
  }
  EXPECT_OK(signer().GenerateKey(AnyAlgorithm(), lost_id)) << "something was left behind";
}

}  // namespace
}  // namespace keyward::conformance
