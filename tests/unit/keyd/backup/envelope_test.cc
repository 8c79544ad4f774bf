#include "keyd/backup/envelope.h"

#include <fstream>

#include "tests/support/matchers.h"
#include "tests/support/run_program.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/keyd/backup/recovery_pair.h"

namespace keyward::backup {
namespace {

using testing_support::FailsWith;
using testing_support::RecoveryPair;

constexpr std::string_view kText = "what nobody else may read, of more than one block";

Result<Bytes> Enclose(const std::vector<RecoveryCertificate>& recipients,
                      HeaderDigest* header = nullptr) {
  KEYWARD_ASSIGN(NewEnvelope envelope, NewEnvelope::Create(recipients));
  if (header != nullptr) *header = envelope.header();
  KEYWARD_TRY(envelope.Write(AsBytes(kText.substr(0, 5))));
  KEYWARD_TRY(envelope.Write({}));
  KEYWARD_TRY(envelope.Write(AsBytes(kText.substr(5))));
  return envelope.Finish();
}

Result<std::string> ReadAll(ByteView der, const RecoveryKey& key, HeaderDigest* header = nullptr) {
  KEYWARD_ASSIGN(OpenEnvelope envelope, OpenEnvelope::Open(der, key));
  if (header != nullptr) *header = envelope.header();
  Bytes text(kText.size());
  KEYWARD_TRY(envelope.Read(text));
  KEYWARD_TRY(envelope.End());
  return std::string(AsText(text));
}

class EnvelopeTest : public ::testing::TestWithParam<bool> {
 protected:
  const RecoveryPair pair_ = GetParam() ? RecoveryPair::Rsa() : RecoveryPair::Ec();
  testing_support::TempDir folder_;
};

TEST_P(EnvelopeTest, OpensWithItsKeyAndHasTheHeaderItWasMadeWith) {
  HeaderDigest written{};
  HeaderDigest read{};
  ASSERT_OK_AND_ASSIGN(const Bytes der, Enclose(pair_.Certificates(), &written));
  EXPECT_THAT(ReadAll(der, pair_.Key(), &read), testing_support::IsOkAndHolds(kText));
  EXPECT_EQ(written, read);
}

TEST_P(EnvelopeTest, OpensslsCommandOpensIt) {
  ASSERT_OK_AND_ASSIGN(const Bytes der, Enclose(pair_.Certificates()));
  std::ofstream(folder_.File("backup")) << AsText(der);
  std::ofstream(folder_.File("key")) << pair_.KeyPem();
  const testing_support::Outcome said =
      testing_support::RunProgram({"openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in",
                                   folder_.File("backup"), "-inkey", folder_.File("key")});
  EXPECT_EQ(said.status, 0);
  EXPECT_EQ(said.output, kText);
}

TEST_P(EnvelopeTest, EachOfSeveralRecipientsOpensIt) {
  const RecoveryPair others[] = {RecoveryPair::Rsa(), RecoveryPair::Ec()};
  const std::string text =
      others[0].CertificatePem() + others[1].CertificatePem() + pair_.CertificatePem();
  ASSERT_OK_AND_ASSIGN(const auto certificates, RecoveryCertificate::FromPem(AsBytes(text)));
  EXPECT_EQ(certificates.size(), 3U);
  ASSERT_OK_AND_ASSIGN(const Bytes der, Enclose(certificates));
  EXPECT_OK(ReadAll(der, pair_.Key()));
  EXPECT_OK(ReadAll(der, others[0].Key()));
  EXPECT_OK(ReadAll(der, others[1].Key()));
}

TEST_P(EnvelopeTest, AnotherKeyOpensNothing) {
  ASSERT_OK_AND_ASSIGN(const Bytes der, Enclose(pair_.Certificates()));
  EXPECT_THAT(ReadAll(der, RecoveryPair::Ec().Key()), FailsWith(ErrorCode::kAuthenticationFailed));
  EXPECT_THAT(ReadAll(der, RecoveryPair::Rsa().Key()), FailsWith(ErrorCode::kAuthenticationFailed));
}

// What CBC leaves open, a MAC inside has to close; of the rest nothing is free to be changed.
TEST_P(EnvelopeTest, AFlippedBitIsFoundOrChangesTheHeaderOrTheText) {
  HeaderDigest header{};
  const auto certificates = pair_.Certificates();
  ASSERT_OK_AND_ASSIGN(Bytes der, Enclose(certificates, &header));
  const RecoveryKey key = pair_.Key();
  for (size_t bit = 0; bit < 8 * der.size(); ++bit) {
    der[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
    HeaderDigest read{};
    const Result<std::string> text = ReadAll(der, key, &read);
    EXPECT_FALSE(text && *text == kText && read == header) << "bit " << bit;
    der[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
  }
}

TEST_P(EnvelopeTest, WhatIsCutShortOrHasMoreIsRefused) {
  ASSERT_OK_AND_ASSIGN(const Bytes der, Enclose(pair_.Certificates()));
  const RecoveryKey key = pair_.Key();
  for (size_t size = 0; size < der.size(); ++size) {
    EXPECT_FALSE(ReadAll(ByteView(der).first(size), key)) << size;
  }
  Bytes more = der;
  more.push_back(0);
  EXPECT_FALSE(ReadAll(more, key));
  EXPECT_THAT(ReadAll(Bytes(kMaxBackup + 1), key), FailsWith(ErrorCode::kTooLarge));
  EXPECT_THAT(ReadAll({}, key), FailsWith(ErrorCode::kMalformed));
}

INSTANTIATE_TEST_SUITE_P(Kinds, EnvelopeTest, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Rsa" : "Ec"; });

TEST(RecoveryKeyTest, ACertificateThatCannotReceiveIsRefused) {
  const auto parse = [](const std::string& text) {
    return RecoveryCertificate::FromPem(AsBytes(text));
  };
  EXPECT_THAT(parse(RecoveryPair::Ed25519().CertificatePem()), FailsWith(ErrorCode::kNotSupported));
  EXPECT_THAT(parse(RecoveryPair::Rsa(1024).CertificatePem()), FailsWith(ErrorCode::kNotSupported));
  EXPECT_THAT(parse(RecoveryPair::Ec().CertificatePem(-60, -1)), FailsWith(ErrorCode::kExpired));
  EXPECT_THAT(parse(RecoveryPair::Ec().CertificatePem(60, 120)), FailsWith(ErrorCode::kExpired));
  EXPECT_THAT(parse(""), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(parse(RecoveryPair::Ec().KeyPem()), FailsWith(ErrorCode::kMalformed));
  std::string many;
  for (size_t i = 0; i <= kMaxCertificates; ++i) many += RecoveryPair::Ec().CertificatePem();
  EXPECT_THAT(parse(many), FailsWith(ErrorCode::kMalformed));
}

TEST(RecoveryKeyTest, ABrokenCertificateAfterAGoodOneIsNotPassedOver) {
  std::string text = RecoveryPair::Ec().CertificatePem();
  std::string broken = RecoveryPair::Ec().CertificatePem();
  broken.replace(broken.size() / 2, 4, "????");
  EXPECT_THAT(RecoveryCertificate::FromPem(AsBytes(text + broken)),
              FailsWith(ErrorCode::kMalformed));
}

TEST(RecoveryKeyTest, AnEncryptedKeyNeedsItsPassphrase) {
  const std::string pem = RecoveryPair::Ec().KeyPem("open sesame");
  const SecretBytes text = SecretBytes::CopyOf(AsBytes(pem)).value();
  const auto open = [&text](std::string_view passphrase) {
    return RecoveryKey::FromPem(text, passphrase.empty()
                                          ? SecretBytes()
                                          : SecretBytes::CopyOf(AsBytes(passphrase)).value());
  };
  EXPECT_OK(open("open sesame"));
  EXPECT_THAT(open("open barley"), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(open(""), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(RecoveryKeyTest, AKeyThatCannotDecryptIsRefused) {
  const std::string pem = RecoveryPair::Ed25519().KeyPem();
  EXPECT_THAT(RecoveryKey::FromPem(SecretBytes::CopyOf(AsBytes(pem)).value(), {}),
              FailsWith(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace keyward::backup
