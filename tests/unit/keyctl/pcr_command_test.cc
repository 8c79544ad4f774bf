#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <fstream>

#include "core/encoding.h"
#include "core/openssl_ptr.h"
#include "keyctl/policy_signer.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::FailsWith;
using testing_support::KeyctlTest;

const std::string kZeros(64, '0');

class PcrCommandTest : public KeyctlTest {
 protected:
  void SetUp() override {
    const OsslPtr<EVP_PKEY, EVP_PKEY_free> pair(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
    const OsslPtr<BIO, BIO_free> private_half(BIO_new_file(key().c_str(), "w"));
    ASSERT_EQ(PEM_write_bio_PrivateKey(private_half.get(), pair.get(), nullptr, nullptr, 0, nullptr,
                                       nullptr),
              1);
    const OsslPtr<BIO, BIO_free> public_half(BIO_new_file(public_key().c_str(), "w"));
    ASSERT_EQ(PEM_write_bio_PUBKEY(public_half.get(), pair.get()), 1);
    keyd_.pcrs.values = {{2, PcrValue{1}}, {7, PcrValue{2}}};
  }
  std::string key() const { return directory_.File("key.pem"); }
  std::string public_key() const { return directory_.File("public.pem"); }
  PublicKey Authority() const {
    std::ifstream in(public_key());
    return PublicKey::FromPem(std::string(std::istreambuf_iterator<char>(in), {})).value();
  }
  std::string Values(const std::string& text) const {
    std::ofstream(directory_.File("values")) << text;
    return directory_.File("values");
  }

  testing_support::TempDir directory_;
};

TEST_F(PcrCommandTest, SignsTheStateOfNow) {
  EXPECT_EQ(Run({"policy", "pcr", "sign", "--key", key(), "--pcrs", "2,7", "--yes"}),
            ExitCode::kOk);
  ASSERT_TRUE(keyd_.added);
  EXPECT_EQ(keyd_.added->pcrs, (PcrSelection{2, 7}));
  EXPECT_EQ(keyd_.added->digest, DigestOfPcrPolicy(keyd_.pcrs.values).value());
  EXPECT_OK(VerifyPcrPolicy(*keyd_.added, Authority()));
}

TEST_F(PcrCommandTest, SignsAStateToComeFromWhatTpm2PcrreadPrints) {
  const std::string file = Values(fmt::format("  sha256:\n    0 : 0x{0}\n    7 : 0x{0}\n", kZeros));
  EXPECT_EQ(
      Run({"policy", "pcr", "sign", "--key", key(), "--values", file, "--pcrs", "7", "--yes"}),
      ExitCode::kOk);
  ASSERT_TRUE(keyd_.added);
  EXPECT_EQ(keyd_.added->digest, DigestOfPcrPolicy({{7, PcrValue{}}}).value());
}

TEST_F(PcrCommandTest, AsksSinceASignatureCannotBeWithdrawn) {
  EXPECT_EQ(Run({"policy", "pcr", "sign", "--key", key()}), ExitCode::kNotConfirmed);
  terminal_ = true;
  in_.str("n\ny\n");
  EXPECT_EQ(Run({"policy", "pcr", "sign", "--key", key()}), ExitCode::kNotConfirmed);
  const std::string digest = ToHex(DigestOfPcrPolicy(keyd_.pcrs.values).value());
  EXPECT_THAT(err_.str(), HasSubstr("sign the state " + digest + " of PCRs 2,7"));
  EXPECT_FALSE(keyd_.added);
  EXPECT_EQ(Run({"policy", "pcr", "sign", "--key", key()}), ExitCode::kOk);
  EXPECT_TRUE(keyd_.added);
}

TEST_F(PcrCommandTest, RefusesWhatItCannotSign) {
  EXPECT_EQ(Run({"policy", "pcr", "sign", "--key", key(), "--pcrs", "24"}), ExitCode::kUsage);
  EXPECT_EQ(Run({"policy", "pcr", "sign", "--key", key(), "--pcrs", "9"}), ExitCode::kUsage);
  EXPECT_EQ(
      Run({"policy", "pcr", "sign", "--key", directory_.File("none"), "--pcrs", "7", "--yes"}),
      ExitCode::kUsage);
  EXPECT_EQ(Run({"policy", "pcr", "sign", "--key", directory_.File("public.pem"), "--yes"}),
            ExitCode::kUsage);
  EXPECT_FALSE(keyd_.added);
}

TEST_F(PcrCommandTest, ShowsWhichStateHolds) {
  keyd_.pcrs.authority = Authority().spki();
  EXPECT_EQ(Run({"policy", "pcr", "show"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("No state is signed"));
  keyd_.pcrs.policies = {
      {.pcrs = {7}, .digest = Bytes(32)},
      {.pcrs = {2, 7}, .digest = ToBytes(DigestOfPcrPolicy(keyd_.pcrs.values).value())}};
  EXPECT_EQ(Run({"policy", "pcr", "show", "--json"}), ExitCode::kOk);
  const std::string json = out_.str().substr(out_.str().find('{'));
  const nlohmann::json shown = nlohmann::json::parse(json);
  EXPECT_EQ(shown.at("policies").at(0).at("holds"), false);
  EXPECT_EQ(shown.at("policies").at(1).at("holds"), true);
  EXPECT_EQ(shown.at("authority"), ToHex(Authority().Fingerprint()));
}

TEST(PcrValuesTest, ReadsLinesWithAndWithoutDecoration) {
  ASSERT_OK_AND_ASSIGN(const PcrValues values,
                       ParsePcrValues(fmt::format("7 {0}\n# words\n23: 0x{0}", kZeros)));
  EXPECT_EQ(values.size(), 2U);
  EXPECT_TRUE(values.contains(23));
}

TEST(PcrValuesTest, RefusesWhatIsNoValue) {
  for (const std::string& text : {std::string(), std::string("sha256:\n"),
                                  fmt::format("7 : 0x{}00", kZeros), fmt::format("24 : {}", kZeros),
                                  fmt::format("7 {0}\n7 {0}", kZeros), std::string("7 : 0xzz")}) {
    EXPECT_THAT(ParsePcrValues(text), FailsWith(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST(PcrListTest, ReadsNumbersBetweenCommas) {
  EXPECT_THAT(ParsePcrs("0,2,7"), testing_support::IsOkAndHolds(PcrSelection{0, 2, 7}));
  EXPECT_THAT(ParsePcrs(""), testing_support::IsOkAndHolds(IsEmpty()));
  for (const char* list : {"24", "x", "1,,2", "-1", "1 2"}) {
    EXPECT_THAT(ParsePcrs(list), FailsWith(ErrorCode::kInvalidArgument)) << list;
  }
}

}  // namespace
}  // namespace keyward::keyctl
