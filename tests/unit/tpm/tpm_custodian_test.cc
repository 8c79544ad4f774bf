#include "tpm/tpm_custodian.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "core/encoding.h"
#include "tests/support/matchers.h"
#include "tests/support/run_program.h"
#include "tests/support/swtpm.h"
#include "tpm/capabilities.h"

namespace keyward::tpm {
namespace {

using ::testing::HasSubstr;
using testing_support::FailsWith;
using testing_support::IsOkAndHolds;
using testing_support::RunProgram;
using testing_support::Swtpm;
using testing_support::TempDir;

constexpr KeyId kId = {1, 2, 3};
constexpr std::string_view kMessage = "a message of some length";

class TpmCustodianTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK_AND_ASSIGN(tpm_, Swtpm::Start()); }

  Result<std::unique_ptr<TpmCustodian>> Connect() {
    return TpmCustodian::Create({.tcti = tpm_->tcti(), .state_directory = state_.path()}, rng_);
  }
  std::string PinFile() {
    std::ifstream file(state_.path() / "tpm-primary-name");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  void ClearAsOwner() {
    ASSERT_OK_AND_ASSIGN(const auto connection, Connection::Open(tpm_->tcti()));
    ASSERT_EQ(Esys_Clear(connection->get(), ESYS_TR_RH_LOCKOUT, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                         ESYS_TR_NONE),
              TSS2_RC_SUCCESS);
  }

  Result<uint32_t> FailedTries() {
    KEYWARD_ASSIGN(const auto connection, Connection::Open(tpm_->tcti()));
    KEYWARD_ASSIGN(const auto data,
                   GetCapability(*connection, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_LOCKOUT_COUNTER, 1));
    return data->data.tpmProperties.tpmProperty[0].value;
  }

  SystemRng rng_;
  TempDir state_;
  std::unique_ptr<Swtpm> tpm_;
};

TEST_F(TpmCustodianTest, SaysWhatItIs) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  EXPECT_THAT(custodian->Describe(), HasSubstr("TPM 2.0 IBM SW TPM, firmware"));
  EXPECT_OK(custodian->CheckHealth());
}

TEST_F(TpmCustodianTest, SignaturesOfEveryAlgorithmVerify) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  Signer& signer = custodian->signer();
  EXPECT_THAT(signer.SigningAlgorithms(),
              ::testing::UnorderedElementsAre(Algorithm::kEcdsaP256, Algorithm::kEcdsaP384,
                                              Algorithm::kRsaPss2048));
  for (const Algorithm algorithm : signer.SigningAlgorithms()) {
    ASSERT_OK_AND_ASSIGN(const GeneratedKey key, signer.GenerateKey(algorithm, kId));
    EXPECT_EQ(key.public_key.algorithm(), algorithm);
    EXPECT_LE(key.reference.size(), kMaxKeyReference);
    ASSERT_OK_AND_ASSIGN(const Bytes signature, signer.Sign(key.reference, AsBytes(kMessage)));
    EXPECT_OK(key.public_key.Verify(AsBytes(kMessage), signature)) << Name(algorithm);
  }
}

TEST_F(TpmCustodianTest, MoreKeysAndBlobsThanTheTpmHasSlotsServeInTurn) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  std::vector<GeneratedKey> keys;
  std::vector<Bytes> blobs;
  for (uint8_t i = 0; i < 4; ++i) {
    ASSERT_OK_AND_ASSIGN(GeneratedKey key,
                         custodian->signer().GenerateKey(Algorithm::kEcdsaP256, {i}));
    keys.push_back(std::move(key));
    ASSERT_OK_AND_ASSIGN(Bytes blob, custodian->sealer().Seal(secret, AsBytes("context")));
    blobs.push_back(std::move(blob));
  }
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_OK_AND_ASSIGN(const Bytes signature,
                           custodian->signer().Sign(keys[i].reference, AsBytes(kMessage)));
      EXPECT_OK(keys[i].public_key.Verify(AsBytes(kMessage), signature));
      ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                           custodian->sealer().Unseal(blobs[i], AsBytes("context")));
      EXPECT_TRUE(opened.Equals(secret.RevealSecret()));
    }
  }
}

TEST_F(TpmCustodianTest, AWrongContextIsRefusedAsOftenAsOneLikesAndNeverLocks) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(96, rng_));
  ASSERT_OK_AND_ASSIGN(const Bytes blob, custodian->sealer().Seal(secret, AsBytes("right")));
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(custodian->sealer().Unseal(blob, AsBytes("wrong")),
                FailsWith(ErrorCode::kAuthenticationFailed));
  }
  tpm_->Kill();  // without TPM2_Shutdown, which is when a TPM counts suspicious ends
  ASSERT_OK(tpm_->Restart());
  EXPECT_THAT(FailedTries(), IsOkAndHolds(0));
  ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                       custodian->sealer().Unseal(blob, AsBytes("right")));
  EXPECT_TRUE(opened.Equals(secret.RevealSecret()));
}

TEST_F(TpmCustodianTest, GoesOnWhenTheTpmWasKilledBetweenTwoCalls) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key,
                       custodian->signer().GenerateKey(Algorithm::kEcdsaP256, kId));
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  ASSERT_OK_AND_ASSIGN(const Bytes blob, custodian->sealer().Seal(secret, {}));
  tpm_->Kill();
  ASSERT_OK(tpm_->Restart());
  ASSERT_OK_AND_ASSIGN(const Bytes signature,
                       custodian->signer().Sign(key.reference, AsBytes(kMessage)));
  EXPECT_OK(key.public_key.Verify(AsBytes(kMessage), signature));
  tpm_->Kill();
  ASSERT_OK(tpm_->Restart());
  ASSERT_OK_AND_ASSIGN(const SecretBytes opened, custodian->sealer().Unseal(blob, {}));
  EXPECT_TRUE(opened.Equals(secret.RevealSecret()));
  tpm_->Kill();
  ASSERT_OK(tpm_->Restart());
  EXPECT_OK(custodian->CheckHealth());
}

TEST_F(TpmCustodianTest, AMissingTpmIsSaidAtStart) {
  tpm_->Kill();
  const auto missing = Connect();
  ASSERT_THAT(missing, FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(missing.error().action(), Action::kRetryLater);
  ASSERT_OK(tpm_->Restart());
  EXPECT_OK(Connect());
}

TEST_F(TpmCustodianTest, AnOwnerPasswordIsSaidWithItsRemedyAndNeverGuessed) {
  {
    ASSERT_OK_AND_ASSIGN(const auto connection, Connection::Open(tpm_->tcti()));
    const TPM2B_AUTH password = {.size = 4, .buffer = {'p', 'a', 's', 's'}};
    ASSERT_EQ(Esys_HierarchyChangeAuth(connection->get(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, &password),
              TSS2_RC_SUCCESS);
  }
  const auto refused = Connect();
  ASSERT_THAT(refused, FailsWith(ErrorCode::kPinRejected));
  EXPECT_EQ(refused.error().action(), Action::kProvision);
  EXPECT_THAT(refused.error().message(), HasSubstr("tpm2_changeauth"));
  EXPECT_THAT(FailedTries(), IsOkAndHolds(0));
}

TEST_F(TpmCustodianTest, OwnObjectsFlushedBySomebodyElseAreLoadedAgain) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key,
                       custodian->signer().GenerateKey(Algorithm::kEcdsaP256, kId));
  ASSERT_OK_AND_ASSIGN(const auto other, Connect());  // flushes the first one's
  EXPECT_OK(custodian->signer().Sign(key.reference, AsBytes(kMessage)));
}

TEST_F(TpmCustodianTest, ATpmThatVanishesFailsEveryCallUntilItIsBack) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key,
                       custodian->signer().GenerateKey(Algorithm::kEcdsaP256, kId));
  tpm_->Kill();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(custodian->signer().Sign(key.reference, AsBytes(kMessage)),
                FailsWith(ErrorCode::kCustodianUnavailable));
    EXPECT_THAT(custodian->CheckHealth(), FailsWith(ErrorCode::kCustodianUnavailable));
  }
  ASSERT_OK(tpm_->Restart());
  EXPECT_OK(custodian->signer().Sign(key.reference, AsBytes(kMessage)));
}

TEST_F(TpmCustodianTest, AnotherTpmIsRefusedAndThePinStays) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  const std::string pin = PinFile();
  EXPECT_EQ(pin.size(), 2 * 69);  // twice 34 bytes in hex, and a newline
  tpm_->Kill();
  ASSERT_OK(tpm_->RestartAsAnother());
  EXPECT_THAT(custodian->CheckHealth(), FailsWith(ErrorCode::kCustodianReplaced));
  EXPECT_THAT(Connect(), FailsWith(ErrorCode::kCustodianReplaced));
  EXPECT_EQ(PinFile(), pin);
}

TEST_F(TpmCustodianTest, ATpmThatItsOwnerClearedIsToldFromAnother) {
  ASSERT_OK(Connect());
  const std::string pin = PinFile();
  ASSERT_NO_FATAL_FAILURE(ClearAsOwner());
  const auto cleared = Connect();
  ASSERT_THAT(cleared, FailsWith(ErrorCode::kCustodianCleared));
  EXPECT_EQ(cleared.error().action(), Action::kProvision);
  EXPECT_EQ(PinFile(), pin);
}

TEST_F(TpmCustodianTest, TheEndorsementKeyIsTheOneThatOtherToolsMake) {
  ASSERT_OK(Connect());
  ASSERT_EQ(setenv("TPM2TOOLS_TCTI", tpm_->tcti().c_str(), 1), 0);
  const std::string context = state_.File("ek.ctx");
  const std::string name = state_.File("ek.name");
  ASSERT_EQ(RunProgram({"tpm2_createek", "-Q", "-G", "ecc", "-c", context}).status, 0);
  ASSERT_EQ(RunProgram({"tpm2_flushcontext", "-Q", "-t"}).status, 0);
  ASSERT_EQ(RunProgram({"tpm2_readpublic", "-Q", "-c", context, "-n", name}).status, 0);
  std::ifstream file(name, std::ios::binary);
  const Bytes expected{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(PinFile().substr(69), ToHex(expected) + "\n");
}

TEST_F(TpmCustodianTest, APinFromBeforeGetsItsSecondLine) {
  ASSERT_OK(Connect());
  const std::string pin = PinFile();
  std::ofstream(state_.path() / "tpm-primary-name", std::ios::trunc) << pin.substr(0, 69);
  ASSERT_OK(Connect());
  EXPECT_EQ(PinFile(), pin);
}

TEST_F(TpmCustodianTest, WithoutTheEndorsementHierarchyAClearedTpmIsReplaced) {
  {
    ASSERT_OK_AND_ASSIGN(const auto connection, Connection::Open(tpm_->tcti()));
    const TPM2B_AUTH password = {.size = 4, .buffer = {'p', 'a', 's', 's'}};
    ASSERT_EQ(Esys_HierarchyChangeAuth(connection->get(), ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, &password),
              TSS2_RC_SUCCESS);
  }
  ASSERT_OK(Connect());
  EXPECT_EQ(PinFile().size(), 69);
  ASSERT_NO_FATAL_FAILURE(ClearAsOwner());
  EXPECT_THAT(Connect(), FailsWith(ErrorCode::kCustodianReplaced));
  EXPECT_THAT(FailedTries(), IsOkAndHolds(0));
}

TEST_F(TpmCustodianTest, WhatAnotherTpmMadeIsRefused) {
  ASSERT_OK_AND_ASSIGN(auto former, Connect());
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key,
                       former->signer().GenerateKey(Algorithm::kEcdsaP256, kId));
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  ASSERT_OK_AND_ASSIGN(const Bytes blob, former->sealer().Seal(secret, {}));
  former.reset();
  tpm_->Kill();
  ASSERT_OK(tpm_->RestartAsAnother());
  std::filesystem::remove(state_.path() / "tpm-primary-name");
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  EXPECT_THAT(custodian->signer().Sign(key.reference, AsBytes(kMessage)),
              FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_THAT(custodian->sealer().Unseal(blob, {}), FailsWith(ErrorCode::kAuthenticationFailed));
}

TEST_F(TpmCustodianTest, ATamperedReferenceOrBlobFailsAtEveryByte) {
  constexpr size_t kStride = 7;  // a few hundred commands instead of a few thousand
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key,
                       custodian->signer().GenerateKey(Algorithm::kEcdsaP256, kId));
  for (size_t at = 0; at < key.reference.size(); at += kStride) {
    KeyReference tampered = key.reference;
    tampered[at] ^= 0x10;
    EXPECT_THAT(custodian->signer().Sign(tampered, AsBytes(kMessage)),
                FailsWith(ErrorCode::kDataCorrupt))
        << "byte " << at;
  }
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  ASSERT_OK_AND_ASSIGN(const Bytes blob, custodian->sealer().Seal(secret, {}));
  for (size_t at = 0; at < blob.size(); at += kStride) {
    Bytes tampered = blob;
    tampered[at] ^= 0x10;
    EXPECT_THAT(custodian->sealer().Unseal(tampered, {}),
                ::testing::AnyOf(FailsWith(ErrorCode::kMalformed),
                                 FailsWith(ErrorCode::kAuthenticationFailed)))
        << "byte " << at;
  }
  EXPECT_OK(custodian->signer().Sign(key.reference, AsBytes(kMessage)));
  EXPECT_OK(custodian->sealer().Unseal(blob, {}));
}

TEST_F(TpmCustodianTest, PartsOfTwoReferencesDoNotMix) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  ASSERT_OK_AND_ASSIGN(const GeneratedKey one,
                       custodian->signer().GenerateKey(Algorithm::kEcdsaP256, {1}));
  ASSERT_OK_AND_ASSIGN(const GeneratedKey two,
                       custodian->signer().GenerateKey(Algorithm::kEcdsaP256, {2}));
  constexpr size_t kIdBegin = 5;  // after magic and version
  constexpr size_t kIdEnd = kIdBegin + 16;
  KeyReference renamed = one.reference;
  std::copy(two.reference.begin() + kIdBegin, two.reference.begin() + kIdEnd,
            renamed.begin() + kIdBegin);
  EXPECT_THAT(custodian->signer().Sign(renamed, AsBytes(kMessage)),
              FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(TpmCustodianTest, SealedSecretsHaveAMaximumAndAMinimum) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  ASSERT_OK_AND_ASSIGN(const SecretBytes too_large, SecretBytes::Random(97, rng_));
  EXPECT_THAT(custodian->sealer().Seal(too_large, {}), FailsWith(ErrorCode::kTooLarge));
  EXPECT_THAT(custodian->sealer().Seal(SecretBytes(), {}), FailsWith(ErrorCode::kInvalidArgument));
}

TEST_F(TpmCustodianTest, Ed25519IsNotSupported) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  EXPECT_THAT(custodian->signer().GenerateKey(Algorithm::kEd25519, kId),
              FailsWith(ErrorCode::kNotSupported));
}

}  // namespace
}  // namespace keyward::tpm
