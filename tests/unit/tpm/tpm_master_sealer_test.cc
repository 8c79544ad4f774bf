#include "tpm/tpm_master_sealer.h"

#include "tests/unit/tpm/policy_signer.h"
#include "tests/unit/tpm/tpm_fixture.h"
#include "tpm/nv_index.h"

namespace keyward::tpm {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

constexpr KeyId kId = {1, 2, 3};
constexpr KeyId kOther = {1, 2, 4};
const PcrSelection kPcrs = {0, 7, kTestPcr};

class TpmMasterSealerTest : public TpmTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(TpmTest::SetUp());
    ASSERT_OK_AND_ASSIGN(master_, SecretBytes::Random(kMasterKeySize, rng_));
    ASSERT_OK_AND_ASSIGN(const PublicKey authority, authority_.public_key());
    ASSERT_OK_AND_ASSIGN(record_, sealer().SealMaster(kId, master_, authority));
  }

  MasterSealer& sealer() { return custodian_->master_sealer(); }
  // For the PCRs as they are now.
  Result<SignedPcrPolicy> SignNow(const PolicySigner& signer, const PcrSelection& pcrs = kPcrs) {
    KEYWARD_ASSIGN(const PcrValues values, custodian_->attester()->ReadPcrs(pcrs));
    return signer.Sign(values);
  }
  Result<SecretBytes> Unseal(const std::vector<SignedPcrPolicy>& policies) {
    return sealer().UnsealMaster(kId, record_, policies);
  }
  Result<bool> Opens(const std::vector<SignedPcrPolicy>& policies) {
    KEYWARD_ASSIGN(const SecretBytes opened, Unseal(policies));
    return opened.Equals(master_.RevealSecret());
  }

  PolicySigner authority_;
  SecretBytes master_;
  Bytes record_;
};

TEST_F(TpmMasterSealerTest, OpensInAStateThatTheAuthoritySigned) {
  EXPECT_LE(record_.size(), kMaxMasterRecord);
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, SignNow(authority_));
  for (int i = 0; i < 3; ++i) EXPECT_THAT(Opens({policy}), IsOkAndHolds(true));
  ASSERT_OK(RestartTpm());
  EXPECT_THAT(Opens({policy}), IsOkAndHolds(true));
}

TEST_F(TpmMasterSealerTest, StaysShutInAnyOtherStateUntilThatIsSignedToo) {
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy before, SignNow(authority_));
  ASSERT_NO_FATAL_FAILURE(ExtendPcr(kTestPcr));
  const auto shut = Unseal({before});
  ASSERT_THAT(shut, FailsWith(ErrorCode::kPcrMismatch));
  EXPECT_THAT(shut.error().message(), HasSubstr("keyctl policy pcr sign"));
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy now, SignNow(authority_));
  EXPECT_THAT(Opens({before, now}), IsOkAndHolds(true));
  ASSERT_OK(RestartTpm());  // which resets the PCRs
  EXPECT_THAT(Opens({now, before}), IsOkAndHolds(true));
}

TEST_F(TpmMasterSealerTest, APcrThatThePolicyLeavesOutMayChange) {
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, SignNow(authority_, {0, 7}));
  ASSERT_NO_FATAL_FAILURE(ExtendPcr(kTestPcr));
  EXPECT_THAT(Opens({policy}), IsOkAndHolds(true));
}

TEST_F(TpmMasterSealerTest, WithoutAPolicyItStaysShut) {
  EXPECT_THAT(Unseal({}), FailsWith(ErrorCode::kPcrMismatch));
}

TEST_F(TpmMasterSealerTest, AnotherKeysSignatureIsRefused) {
  const PolicySigner other;
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, SignNow(other));
  EXPECT_THAT(Unseal({policy}), FailsWith(ErrorCode::kPcrMismatch));
}

TEST_F(TpmMasterSealerTest, ADigestOverOtherPcrsIsRefused) {
  ASSERT_OK_AND_ASSIGN(SignedPcrPolicy policy, SignNow(authority_));
  policy.pcrs = {0, 7};
  EXPECT_THAT(Unseal({policy}), FailsWith(ErrorCode::kPcrMismatch));
  policy.pcrs = {};
  EXPECT_THAT(Unseal({policy}), FailsWith(ErrorCode::kPcrMismatch));
}

TEST_F(TpmMasterSealerTest, ASignatureWithAFlippedBitIsRefused) {
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, SignNow(authority_));
  for (size_t at = 0; at < policy.signature.size(); ++at) {
    SignedPcrPolicy changed = policy;
    changed.signature[at] ^= 1;
    EXPECT_THAT(Unseal({changed}), FailsWith(ErrorCode::kPcrMismatch)) << at;
  }
}

TEST_F(TpmMasterSealerTest, ARecordWithAnyFlippedBitIsRefused) {
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, SignNow(authority_));
  for (size_t bit = 0; bit < 8 * record_.size(); ++bit) {
    Bytes changed = record_;
    changed[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    EXPECT_THAT(
        sealer().UnsealMaster(kId, changed, std::span(&policy, 1)),
        AnyOf(FailsWith(ErrorCode::kMalformed), FailsWith(ErrorCode::kAuthenticationFailed)))
        << "bit " << bit;
  }
  EXPECT_THAT(Opens({policy}), IsOkAndHolds(true));
}

TEST_F(TpmMasterSealerTest, ARecordOfAnotherAuthorityIsRefused) {
  const PolicySigner other;
  ASSERT_OK_AND_ASSIGN(const PublicKey key, other.public_key());
  ASSERT_OK_AND_ASSIGN(record_, sealer().SealMaster(kOther, master_, key));
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, SignNow(other));
  EXPECT_THAT(Unseal({policy}), FailsWith(ErrorCode::kAuthenticationFailed));
}

TEST_F(TpmMasterSealerTest, IsUselessForEverOnceDestroyed) {
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, SignNow(authority_));
  ASSERT_OK(sealer().DestroyMaster(kId));
  EXPECT_THAT(Unseal({policy}), FailsWith(ErrorCode::kNotFound));
  EXPECT_OK(sealer().DestroyMaster(kId));
  // Nor does its successor of the same id and authority open for the former record.
  ASSERT_OK_AND_ASSIGN(const PublicKey authority, authority_.public_key());
  ASSERT_OK_AND_ASSIGN(const SecretBytes next, SecretBytes::Random(kMasterKeySize, rng_));
  ASSERT_OK(sealer().SealMaster(kId, next, authority));
  EXPECT_THAT(Unseal({policy}), FailsWith(ErrorCode::kAuthenticationFailed));
}

TEST_F(TpmMasterSealerTest, AnIdTakesOneMaster) {
  ASSERT_OK_AND_ASSIGN(const PublicKey authority, authority_.public_key());
  ASSERT_OK_AND_ASSIGN(const SecretBytes other, SecretBytes::Random(kMasterKeySize, rng_));
  EXPECT_THAT(sealer().SealMaster(kId, other, authority), FailsWith(ErrorCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, SignNow(authority_));
  EXPECT_THAT(Opens({policy}), IsOkAndHolds(true));
  EXPECT_OK(custodian_->counter().Create(kId)) << "a counter of the same id is another thing";
}

TEST_F(TpmMasterSealerTest, TakesAnAuthorityOfP256AndNoOther) {
  const PolicySigner p384("P-384");
  ASSERT_OK_AND_ASSIGN(const PublicKey key, p384.public_key());
  EXPECT_THAT(sealer().SealMaster(kOther, master_, key), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(sealer().SealMaster(kOther, master_, std::nullopt),
              FailsWith(ErrorCode::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(const SecretBytes shorter, SecretBytes::Random(31, rng_));
  ASSERT_OK_AND_ASSIGN(const PublicKey authority, authority_.public_key());
  EXPECT_THAT(sealer().SealMaster(kOther, shorter, authority),
              FailsWith(ErrorCode::kInvalidArgument));
}

// Whoever has the owner's password, which is empty, and the index's, which is not known.
TEST_F(TpmMasterSealerTest, TheIndexIsReadAndWrittenInNoOtherWay) {
  ASSERT_OK_AND_ASSIGN(const auto link, Link::Connect(tpm_->tcti(), state_.path()));
  ASSERT_OK_AND_ASSIGN(std::optional<NvIndex> index,
                       NvIndex::Find(*link, NvHandleOf(kId, NvUse::kMaster)));
  ASSERT_TRUE(index);
  EXPECT_EQ(index->area().attributes, TPMA_NV_POLICYREAD | TPMA_NV_AUTHWRITE | TPMA_NV_WRITEALL |
                                          TPMA_NV_WRITEDEFINE | TPMA_NV_NO_DA | TPMA_NV_WRITTEN |
                                          TPMA_NV_WRITELOCKED);
  EXPECT_FALSE(index->Write(Bytes(kMasterKeySize, 0)));
  EXPECT_FALSE(index->Read());
  ASSERT_OK_AND_ASSIGN(const EsysSession policy,
                       EsysSession::StartPolicy(link->connection(), link->salt_key()));
  EXPECT_THAT(index->ReadSecret(policy), FailsWith(ErrorCode::kPcrMismatch));
}

// The right authorization value, and the index finished: the lock alone holds.
TEST_F(TpmMasterSealerTest, ALockedIndexIsNotWrittenAgainEvenByItsAuth) {
  ASSERT_OK_AND_ASSIGN(const auto link, Link::Connect(tpm_->tcti(), state_.path()));
  ASSERT_OK_AND_ASSIGN(const std::optional<NvIndex> like,
                       NvIndex::Find(*link, NvHandleOf(kId, NvUse::kMaster)));
  TPMS_NV_PUBLIC area = like->area();
  area.nvIndex = NvHandleOf(kOther, NvUse::kMaster);
  area.attributes &= ~(TPMA_NV_WRITTEN | TPMA_NV_WRITELOCKED);
  const Bytes auth(32, 7);
  ASSERT_OK_AND_ASSIGN(NvIndex index, NvIndex::Define(*link, area, auth));
  ASSERT_OK(index.Write(Bytes(kMasterKeySize, 1)));
  ASSERT_OK(index.LockForGood());
  EXPECT_FALSE(index.Write(Bytes(kMasterKeySize, 2)));
}

TEST_F(TpmMasterSealerTest, AForeignIndexInItsPlaceIsLeftAlone) {
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, SignNow(authority_));
  {
    ASSERT_OK_AND_ASSIGN(const auto link, Link::Connect(tpm_->tcti(), state_.path()));
    ASSERT_OK_AND_ASSIGN(std::optional<NvIndex> index,
                         NvIndex::Find(*link, NvHandleOf(kId, NvUse::kMaster)));
    TPMS_NV_PUBLIC area = index->area();
    ASSERT_OK(index->Undefine());
    area.attributes = TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE | TPMA_NV_AUTHREAD;
    ASSERT_OK(NvIndex::Define(*link, area, {}));
  }
  EXPECT_THAT(Unseal({policy}), FailsWith(ErrorCode::kAuthenticationFailed));
  EXPECT_OK(sealer().DestroyMaster(kId));
  EXPECT_THAT(Unseal({policy}), FailsWith(ErrorCode::kAuthenticationFailed)) << "it is still there";
}

TEST_F(TpmMasterSealerTest, NothingOfItLocksTheTpmOrLeaks) {
  const PolicySigner other;
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy right, SignNow(authority_));
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy wrong, SignNow(other));
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy fewer, SignNow(authority_, {0}));
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(Unseal({wrong}), FailsWith(ErrorCode::kPcrMismatch));
    EXPECT_THAT(Opens({wrong, right}), IsOkAndHolds(true));
    EXPECT_THAT(Opens({fewer}), IsOkAndHolds(true));
  }
  ExpectNothingLeaked();
  ASSERT_OK(RestartTpm());
  EXPECT_THAT(FailedTries(), IsOkAndHolds(0));
}

TEST_F(TpmMasterSealerTest, WorksWhileEverySlotOfTheTpmIsInUse) {
  for (uint8_t i = 0; i < 3; ++i) {
    ASSERT_OK(custodian_->signer().GenerateKey(Algorithm::kEcdsaP256, {i}));
  }
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, SignNow(authority_));
  EXPECT_THAT(Opens({policy}), IsOkAndHolds(true));
  EXPECT_OK(custodian_->attester()->MakeQuote(Bytes(8, 1), kPcrs));
}

}  // namespace
}  // namespace keyward::tpm
