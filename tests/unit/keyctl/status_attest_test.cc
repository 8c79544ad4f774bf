#include <filesystem>

#include "core/encoding.h"
#include "keyctl/quote_export.h"
#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::FailsWith;
using testing_support::IsOkAndHolds;
using testing_support::KeyctlTest;
using testing_support::SomeKey;

class StatusAttestTest : public KeyctlTest {
 protected:
  void SetUp() override {
    keyd_.status = {.version = "0.1.0",
                    .health = "ok",
                    .seal_code = "",
                    .seal_reason = "",
                    .secret_memory = "memfd_secret",
                    .custodians = {},
                    .audit = {},
                    .sessions = 0,
                    .uptime = std::chrono::seconds(1),
                    .boot = {.state = "attested",
                             .detail = "",
                             .id = std::string(64, 'b'),
                             .quote = std::string(64, 'd'),
                             .quoted = WallTime(std::chrono::seconds(1'781'535'999)),
                             .pcrs = {0, 7}}};
    keyd_.quote = Quote{{1, 2, 3}, {4, 5}, {{7, PcrValue{9}}}, SomeKey()};
  }
  std::string Out() const { return directory_.File("quote"); }
  std::string Read(const std::string& name) const {
    std::ifstream file(directory_.path() / "quote" / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  testing_support::TempDir directory_;
};

TEST_F(StatusAttestTest, StatusNamesTheBoot) {
  EXPECT_EQ(Run({"status"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\nBoot bbbbbbbbbbbbbbbb: attested at 2026-06-15T15:06:39Z "
                                    "over PCRs 0,7, quote dddddddddddddddd\n"));
  EXPECT_EQ(Run({"status", "--json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson().at("boot").at("id"), std::string(64, 'b'));
  EXPECT_FALSE(OutJson().contains("attestation"));
}

TEST_F(StatusAttestTest, WhatIsNotAttestedHasItsReasonAndNoTime) {
  keyd_.status.boot = {.state = "waiting",
                       .detail = "the TPM is away",
                       .id = std::string(64, 'b'),
                       .quote = "",
                       .quoted = {},
                       .pcrs = {0}};
  EXPECT_EQ(Run({"status"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("Boot bbbbbbbbbbbbbbbb: waiting (the TPM is away)\n"));
  EXPECT_EQ(Run({"status", "--json"}), ExitCode::kOk);
  EXPECT_TRUE(OutJson().at("boot").at("quoted").is_null());
}

TEST_F(StatusAttestTest, WritesTheFilesAndSaysHowToCheckThem) {
  EXPECT_EQ(Run({"status", "--attest", "00ff", "--out", Out()}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, Contains("Attest 00ff"));
  EXPECT_THAT(out_.str(), HasSubstr("tpm2_checkquote -u ak.pem -m quote.msg -s quote.sig -f "
                                    "quote.pcrs -g sha256 -q 00ff\n"));
  EXPECT_EQ(Read("quote.msg"), "\x01\x02\x03");
  EXPECT_EQ(Read("quote.sig"), "\x04\x05");
  EXPECT_EQ(Read("ak.pem"), SomeKey().ToPem());
  EXPECT_EQ(AsBytes(Read("quote.pcrs")).size(), PcrFileOf(keyd_.quote->pcrs).size());
}

TEST_F(StatusAttestTest, TheQuoteOfTheBootIsCheckedWithItsId) {
  EXPECT_EQ(Run({"status", "--attest", "boot", "--out", Out()}), ExitCode::kOk);
  EXPECT_THAT(keyd_.calls, Contains("Attest "));
  EXPECT_THAT(out_.str(), HasSubstr("-q " + std::string(64, 'b')));
}

TEST_F(StatusAttestTest, AsJsonItIsBase64) {
  EXPECT_EQ(Run({"status", "--json", "--attest", "00ff"}), ExitCode::kOk);
  const nlohmann::json quote = OutJson().at("attestation");
  EXPECT_EQ(quote.at("message"), "AQID");
  EXPECT_EQ(quote.at("signature"), "BAU=");
  EXPECT_EQ(quote.at("values").at("7"), "09" + std::string(62, '0'));
}

TEST_F(StatusAttestTest, RefusesWhatIsNoNonceBeforeItAsks) {
  for (const char* nonce : {"xyz", "0", "00f", ""}) {
    EXPECT_EQ(Run({"status", "--out", Out(), "--attest", nonce}), ExitCode::kUsage) << nonce;
  }
  EXPECT_EQ(Run({"status", "--attest", "00ff"}), ExitCode::kUsage) << "nowhere to put it";
  EXPECT_EQ(Run({"status", "--out", Out()}), ExitCode::kUsage) << "nothing to put there";
  EXPECT_THAT(keyd_.calls, IsEmpty());
  EXPECT_THAT(ParseNonce(std::string(66, '0')), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(ParseNonce("boot"), IsOkAndHolds(Bytes()));
}

TEST_F(StatusAttestTest, WithoutATpmItSaysSo) {
  keyd_.quote.reset();
  EXPECT_EQ(Run({"status", "--json", "--attest", "00ff"}), ExitCode::kFailure);
  EXPECT_EQ(ErrorJson().at("code"), "NotSupported");
}

// The sizes are those of TPML_PCR_SELECTION (132 bytes), UINT32 and TPML_DIGEST (532).
TEST_F(StatusAttestTest, ThePcrFileListsEightValuesAtATime) {
  PcrValues values;
  for (uint32_t pcr = 0; pcr < 9; ++pcr) values[pcr] = PcrValue{static_cast<uint8_t>(pcr + 1)};
  const Bytes file = PcrFileOf(values);
  ASSERT_EQ(file.size(), 132U + 4 + 2 * 532);
  EXPECT_EQ(ToHex(ByteView(file).first(12)), "010000000b0003ff01000000");
  EXPECT_EQ(ToHex(ByteView(file).subspan(132, 11)), "0200000008000000200001");
  EXPECT_EQ(ToHex(ByteView(file).subspan(132 + 4 + 532, 7)), "01000000200009");
  EXPECT_EQ(PcrFileOf({{23, PcrValue{}}}).size(), 132U + 4 + 532);
}

}  // namespace
}  // namespace keyward::keyctl
