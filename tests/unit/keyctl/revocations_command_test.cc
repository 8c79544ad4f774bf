#include <sodium.h>

#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using testing_support::KeyctlTest;
using testing_support::SomeKey;
using testing_support::TemporaryFile;

class RevocationsCommandTest : public KeyctlTest {
 protected:
  void SetUp() override {
    list_.epoch = 3;
    list_.revocations = {{.fingerprint = {0xab}, .name = "web", .version = 2, .at = {}},
                         {.fingerprint = {0xcd}, .name = "far", .version = 0, .at = {}}};
    keyd_.revocations = {{list_.revocations[0], {}}, {list_.revocations[1], Bytes(32, 0xee)}};
  }
  // Signed by a pair of RFC 8032, 7.1, test 1, which SomeKey is of.
  std::string Signed() const {
    const Bytes seed =
        FromHex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").value();
    std::array<uint8_t, crypto_sign_PUBLICKEYBYTES> public_half{};
    std::array<uint8_t, crypto_sign_SECRETKEYBYTES> secret_half{};
    std::array<uint8_t, crypto_sign_BYTES> signature{};
    const std::string composed = Compose(list_);
    EXPECT_EQ(crypto_sign_seed_keypair(public_half.data(), secret_half.data(), seed.data()), 0);
    EXPECT_EQ(crypto_sign_detached(signature.data(), nullptr, AsBytes(composed).data(),
                                   composed.size(), secret_half.data()),
              0);
    return WithSignature(composed, signature, SomeKey());
  }

  RevocationList list_;
  testing_support::TempDir directory_;
};

TEST_F(RevocationsCommandTest, ListsWhatIsRevokedAndByWhom) {
  EXPECT_EQ(Run({"key", "revocations", "--json"}), ExitCode::kOk);
  const auto rows = OutJson();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["kind"], "key");
  EXPECT_EQ(rows[0]["version"], 2);
  EXPECT_TRUE(rows[0]["issuer"].is_null());
  EXPECT_EQ(rows[1]["kind"], "peer");
  EXPECT_EQ(rows[1]["issuer"], ToHex(Bytes(32, 0xee)));
}

TEST_F(RevocationsCommandTest, AnExportedListIsVerifiedWithoutKeyd) {
  const std::string file = directory_.File("revoked.txt");
  const TemporaryFile signer(SomeKey().ToPem());
  keyd_.list = Signed();
  EXPECT_EQ(Run({"key", "revocations", "--export", file, "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson()["revocations"], 2);
  keyd_.calls.clear();
  EXPECT_EQ(Run({"key", "revocations", "--verify", file, "--signer", signer.path(), "--json"}),
            ExitCode::kOk);
  EXPECT_EQ(OutJson()["epoch"], 3);
  EXPECT_TRUE(keyd_.calls.empty());
}

TEST_F(RevocationsCommandTest, AListTakesThePlaceOfNothingButAFile) {
  const std::string link = directory_.File("stdout");
  ASSERT_EQ(symlink("/proc/self/fd/1", link.c_str()), 0);
  keyd_.list = Signed();
  for (const std::string& target : {link, std::string("/dev/null")}) {
    EXPECT_EQ(Run({"key", "revocations", "--export", target}), ExitCode::kUsage);
    EXPECT_THAT(err_.str(), ::testing::HasSubstr("no regular file"));
  }
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST_F(RevocationsCommandTest, AnImportIsConfirmedAndNeedsASigner) {
  const TemporaryFile file(Signed());
  const TemporaryFile signer(SomeKey().ToPem());
  EXPECT_EQ(Run({"key", "revocations", "--import", file.path()}), ExitCode::kUsage);
  EXPECT_EQ(Run({"key", "revocations", "--import", file.path(), "--signer", signer.path()}),
            ExitCode::kNotConfirmed);
  EXPECT_TRUE(keyd_.calls.empty());
  EXPECT_EQ(
      Run({"key", "revocations", "--import", file.path(), "--signer", signer.path(), "--yes"}),
      ExitCode::kOk);
  ASSERT_EQ(keyd_.calls.size(), 1U);
  EXPECT_TRUE(keyd_.calls[0].starts_with("ImportRevocations Keyward revocations v1"));
}

}  // namespace
}  // namespace keyward::keyctl
