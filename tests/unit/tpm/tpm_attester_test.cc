#include "tpm/tpm_attester.h"

#include <algorithm>
#include <fstream>

#include "core/encoding.h"
#include "tests/support/run_program.h"
#include "tests/unit/tpm/tpm_fixture.h"

namespace keyward::tpm {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;
using testing_support::RunProgram;

const PcrSelection kPcrs = {0, 7, kTestPcr};

PcrSelection AllPcrs() {
  PcrSelection pcrs;
  for (uint32_t pcr = 0; pcr < kPcrCount; ++pcr) pcrs.insert(pcr);
  return pcrs;
}

template <class T>
void AppendStruct(Bytes& out, const T& value) {
  Append(out, {reinterpret_cast<const uint8_t*>(&value), sizeof(value)});
}

// What `tpm2_quote -o` writes and `tpm2_checkquote -f` reads: the selection, a count, and so many
// lists of up to eight values, all as they lie in the memory of a little-endian machine.
Bytes PcrFile(const PcrValues& pcrs) {
  TPML_PCR_SELECTION selection{};
  selection.count = 1;
  selection.pcrSelections[0].hash = TPM2_ALG_SHA256;
  selection.pcrSelections[0].sizeofSelect = 3;
  std::vector<TPML_DIGEST> lists;
  for (const auto& [pcr, value] : pcrs) {
    selection.pcrSelections[0].pcrSelect[pcr / 8] |= static_cast<uint8_t>(1U << (pcr % 8));
    if (lists.empty() || lists.back().count == 8) lists.emplace_back();
    TPM2B_DIGEST& next = lists.back().digests[lists.back().count++];
    next.size = static_cast<uint16_t>(value.size());
    std::ranges::copy(value, next.buffer);
  }
  Bytes file;
  AppendStruct(file, selection);
  AppendStruct(file, static_cast<uint32_t>(lists.size()));
  for (const TPML_DIGEST& list : lists) AppendStruct(file, list);
  return file;
}

class TpmAttesterTest : public TpmTest {
 protected:
  Attester& attester() { return *custodian_->attester(); }

  std::string Put(const std::string& name, ByteView contents) {
    const std::string path = files_.File(name);
    std::ofstream(path, std::ios::binary) << AsText(contents);
    return path;
  }
  // Whether tpm2_checkquote takes `quote` as one for `nonce`.
  bool CheckQuoteTakes(const Quote& quote, ByteView nonce) {
    return RunProgram({"tpm2_checkquote", "-Q", "-u",
                       Put("ak.pem", AsBytes(quote.signed_by.ToPem())), "-m",
                       Put("message", quote.message), "-s", Put("signature", quote.signature), "-q",
                       ToHex(nonce), "-g", "sha256", "-f", Put("pcrs", PcrFile(quote.pcrs))})
               .status == 0;
  }

  testing_support::TempDir files_;
};

TEST_F(TpmAttesterTest, Tpm2CheckquoteTakesItsQuotesAndNoOther) {
  const Bytes nonce = RandomBytes(rng_, 16);
  ASSERT_OK_AND_ASSIGN(Quote quote, attester().MakeQuote(nonce, kPcrs));
  EXPECT_TRUE(CheckQuoteTakes(quote, nonce));
  EXPECT_FALSE(CheckQuoteTakes(quote, RandomBytes(rng_, 16)));
  Quote other = quote;
  other.pcrs[7][0] ^= 1;
  EXPECT_FALSE(CheckQuoteTakes(other, nonce));
  quote.message.back() ^= 1;
  EXPECT_FALSE(CheckQuoteTakes(quote, nonce));
}

TEST_F(TpmAttesterTest, AQuoteOfAllPcrsHolds) {
  ASSERT_OK_AND_ASSIGN(const Quote quote,
                       attester().MakeQuote(Bytes(kMaxQuoteNonce, 1), AllPcrs()));
  EXPECT_EQ(quote.pcrs.size(), kPcrCount);
  EXPECT_TRUE(CheckQuoteTakes(quote, Bytes(kMaxQuoteNonce, 1)));
}

TEST_F(TpmAttesterTest, TheKeyStaysTheSameAndIsNoOtherThatWeHave) {
  ASSERT_OK_AND_ASSIGN(const Quote first, attester().MakeQuote({{1}}, kPcrs));
  ASSERT_OK(RestartTpm());
  ASSERT_OK_AND_ASSIGN(const Quote second, attester().MakeQuote({{2}}, kPcrs));
  EXPECT_EQ(first.signed_by, second.signed_by);
  EXPECT_NE(first.message, second.message);
  EXPECT_EQ(first.signed_by.algorithm(), Algorithm::kEcdsaP256);
}

TEST_F(TpmAttesterTest, ValuesFollowThePcrs) {
  ASSERT_OK_AND_ASSIGN(const PcrValues before, attester().ReadPcrs(AllPcrs()));
  ASSERT_EQ(before.size(), kPcrCount);
  EXPECT_EQ(before.at(0), PcrValue{});
  PcrValue ones{};
  ones.fill(0xff);
  EXPECT_EQ(before.at(17), ones);  // locality PCRs begin so
  ASSERT_NO_FATAL_FAILURE(ExtendPcr(kTestPcr));
  ASSERT_OK_AND_ASSIGN(PcrValues after, attester().ReadPcrs(AllPcrs()));
  EXPECT_NE(after.at(kTestPcr), before.at(kTestPcr));
  after[kTestPcr] = before.at(kTestPcr);
  EXPECT_EQ(after, before);
  ASSERT_OK_AND_ASSIGN(const Quote quote, attester().MakeQuote({{1}}, kPcrs));
  EXPECT_NE(quote.pcrs.at(kTestPcr), before.at(kTestPcr));
}

TEST_F(TpmAttesterTest, RefusesWhatItCannotQuote) {
  EXPECT_THAT(attester().MakeQuote({}, kPcrs), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(attester().MakeQuote(Bytes(kMaxQuoteNonce + 1, 1), kPcrs),
              FailsWith(ErrorCode::kTooLarge));
  for (const PcrSelection& wrong : {PcrSelection{}, PcrSelection{24}}) {
    EXPECT_THAT(attester().MakeQuote({{1}}, wrong), FailsWith(ErrorCode::kInvalidArgument));
    EXPECT_THAT(attester().ReadPcrs(wrong), FailsWith(ErrorCode::kInvalidArgument));
  }
}

TEST_F(TpmAttesterTest, NothingOfItLocksTheTpmOrLeaks) {
  for (int i = 0; i < 5; ++i) EXPECT_OK(attester().MakeQuote({{1}}, kPcrs));
  ExpectNothingLeaked();
  ASSERT_OK(RestartTpm());
  EXPECT_THAT(FailedTries(), IsOkAndHolds(0));
}

}  // namespace
}  // namespace keyward::tpm
