#include "hsm/hsm_master_sealer.h"

#include <algorithm>

#include "tests/unit/hsm/hsm_fixture.h"

namespace keyward::hsm {
namespace {

using ::testing::AnyOf;

class HsmMasterSealerTest : public HsmFixture {
 protected:
  MasterSealer& sealer() { return custodian_->master_sealer(); }
  Result<Bytes> Seal() { return sealer().SealMaster(id_, master_, std::nullopt); }
  void ExpectOpens(ByteView record) {
    ASSERT_OK_AND_ASSIGN(const SecretBytes opened, sealer().UnsealMaster(id_, record, {}));
    EXPECT_TRUE(opened.Equals(master_.RevealSecret()));
  }

  const KeyId id_ = NewId();
  const SecretBytes master_ = SecretBytes::Random(kMasterKeySize, rng_).value();
  std::unique_ptr<HsmCustodian> custodian_ = MakeCustodian();
};

TEST_F(HsmMasterSealerTest, ALaterProcessUnsealsTheRecord) {
  ASSERT_OK_AND_ASSIGN(const Bytes record, Seal());
  EXPECT_LE(record.size(), kMaxMasterRecord);
  EXPECT_TRUE(std::ranges::search(record, master_.RevealSecret().first(8)).empty());
  ExpectOpens(record);
  custodian_.reset();
  custodian_ = MakeCustodian();
  ExpectOpens(record);
}

TEST_F(HsmMasterSealerTest, PoliciesAreOfNoUse) {
  ASSERT_OK_AND_ASSIGN(const Bytes record, Seal());
  const std::vector<SignedPcrPolicy> policies = {{.pcrs = {7}, .digest = {}, .signature = {1}}};
  EXPECT_OK(sealer().UnsealMaster(id_, record, policies));
}

TEST_F(HsmMasterSealerTest, TakesNoAuthorityAndNoMasterOfAnotherSize) {
  const PublicKey authority =
      custodian_->signer().GenerateKey(Algorithm::kEcdsaP256, NewId()).value().public_key;
  EXPECT_THAT(sealer().SealMaster(id_, master_, authority), FailsWith(ErrorCode::kInvalidArgument));
  for (const size_t size : {1U, 31U, 33U}) {
    EXPECT_THAT(sealer().SealMaster(id_, SecretBytes::Random(size, rng_).value(), std::nullopt),
                FailsWith(ErrorCode::kInvalidArgument));
  }
  EXPECT_THAT(sealer().SealMaster(id_, SecretBytes(), std::nullopt),
              FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_OK(Seal()) << "a refusal leaves no key behind";
}

TEST_F(HsmMasterSealerTest, ANameIsUsedOnce) {
  ASSERT_OK_AND_ASSIGN(const Bytes record, Seal());
  EXPECT_THAT(Seal(), FailsWith(ErrorCode::kAlreadyExists));
  ExpectOpens(record);
}

TEST_F(HsmMasterSealerTest, EveryFlippedBitIsRefused) {
  ASSERT_OK_AND_ASSIGN(const Bytes record, Seal());
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    Bytes tampered = record;
    tampered[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    const auto expected = bit < 8 ? ErrorCode::kMalformed : ErrorCode::kAuthenticationFailed;
    EXPECT_THAT(sealer().UnsealMaster(id_, tampered, {}), FailsWith(expected)) << "bit " << bit;
  }
  ExpectOpens(record);
}

TEST_F(HsmMasterSealerTest, ARecordOfAnotherLengthIsRefused) {
  ASSERT_OK_AND_ASSIGN(Bytes record, Seal());
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_THAT(
        sealer().UnsealMaster(id_, ByteView(record).first(size), {}),
        AnyOf(FailsWith(ErrorCode::kMalformed), FailsWith(ErrorCode::kAuthenticationFailed)))
        << size;
  }
  record.push_back(0);
  EXPECT_THAT(sealer().UnsealMaster(id_, record, {}), FailsWith(ErrorCode::kMalformed));
}

TEST_F(HsmMasterSealerTest, ARecordIsBoundToItsName) {
  const KeyId other = NewId();
  ASSERT_OK_AND_ASSIGN(const Bytes record, Seal());
  ASSERT_OK(sealer().SealMaster(other, master_, std::nullopt));
  EXPECT_THAT(sealer().UnsealMaster(other, record, {}),
              FailsWith(ErrorCode::kAuthenticationFailed));
  Bytes renamed = record;
  std::ranges::copy(other, renamed.begin() + 1);
  EXPECT_THAT(sealer().UnsealMaster(other, renamed, {}),
              FailsWith(ErrorCode::kAuthenticationFailed));
}

TEST_F(HsmMasterSealerTest, WhatWasSealedOtherwiseIsNoRecord) {
  ASSERT_OK(Seal());
  ASSERT_OK_AND_ASSIGN(const Bytes blob, custodian_->sealer().Seal(master_, {}));
  EXPECT_THAT(sealer().UnsealMaster(id_, blob, {}), FailsWith(ErrorCode::kAuthenticationFailed));
}

TEST_F(HsmMasterSealerTest, ADestroyedRecordIsUselessAndOthersOpen) {
  const KeyId other = NewId();
  ASSERT_OK_AND_ASSIGN(const Bytes gone, sealer().SealMaster(other, master_, std::nullopt));
  ASSERT_OK_AND_ASSIGN(const Bytes record, Seal());
  ASSERT_OK(sealer().DestroyMaster(other));
  EXPECT_THAT(sealer().UnsealMaster(other, gone, {}), FailsWith(ErrorCode::kNotFound));
  EXPECT_OK(sealer().DestroyMaster(other)) << "nothing under that name";
  ExpectOpens(record);
}

TEST_F(HsmMasterSealerTest, ATokenThatIsGoneIsNotTakenForADestroyedKey) {
  ASSERT_OK_AND_ASSIGN(const Bytes record, Seal());
  token_.TakeAway();
  EXPECT_THAT(sealer().UnsealMaster(id_, record, {}), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(sealer().DestroyMaster(id_), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(sealer().SealMaster(NewId(), master_, std::nullopt),
              FailsWith(ErrorCode::kCustodianUnavailable));
  token_.BringBack();
  ExpectOpens(record);
}

TEST_F(HsmMasterSealerTest, TheKeyEncryptsAndDecryptsAndNeverLeaves) {
  ASSERT_OK(Seal());
  const Session session = OpenSession();
  ASSERT_OK_AND_ASSIGN(const auto found, session.Find(FindMasterKey(id_)));
  ASSERT_EQ(found.size(), 1U);
  for (const CK_ATTRIBUTE_TYPE type : {CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE,
                                       CKA_NEVER_EXTRACTABLE, CKA_ENCRYPT, CKA_DECRYPT}) {
    EXPECT_EQ(session.Attribute(found[0], type).value(), Bytes{CK_TRUE}) << type;
  }
  for (const CK_ATTRIBUTE_TYPE type :
       {CKA_EXTRACTABLE, CKA_WRAP, CKA_UNWRAP, CKA_SIGN, CKA_VERIFY, CKA_DERIVE}) {
    EXPECT_EQ(session.Attribute(found[0], type).value(), Bytes{CK_FALSE}) << type;
  }
  EXPECT_FALSE(session.Attribute(found[0], CKA_VALUE).has_value());
}

}  // namespace
}  // namespace keyward::hsm
