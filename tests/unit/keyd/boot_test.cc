#include "keyd/boot.h"

#include <algorithm>

#include "core/encoding.h"
#include "tests/support/matchers.h"

namespace keyward {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr WallTime kNow{std::chrono::seconds(1'781'535'999)};
// SHA-256 of "abc": FIPS 180-2, B.1.
constexpr std::string_view kDigestOfAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

class BootTest : public ::testing::Test {
 protected:
  static Quote SomeQuote(PcrValues values) {
    // RFC 8032, 7.1, test 1.
    const Bytes raw =
        FromHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").value();
    const PublicKey key = PublicKey::FromEd25519(raw).value();
    return {ToBytes(AsBytes("abc")), {1, 2}, std::move(values), key};
  }

  SystemRng rng_;
  Boot boot_ = Boot::Begin(PcrSelection{0, 7}, rng_);
};

TEST_F(BootTest, EachHasAnIdOfItsOwn) {
  const Boot other = Boot::Begin(PcrSelection{0, 7}, rng_);
  EXPECT_NE(boot_.id(), other.id());
  EXPECT_EQ(boot_.Name().id, ToHex(boot_.id()));
  EXPECT_THAT(boot_.Name().id, SizeIs(64));
}

TEST_F(BootTest, WithoutATpmThereIsNothingToWaitFor) {
  Boot boot = Boot::Begin(std::nullopt, rng_);
  boot.NotTaken(Error(ErrorCode::kNotSupported, "no TPM"));
  EXPECT_EQ(boot.state(), BootState::kNoTpm);
  EXPECT_THAT(boot.Detail(), IsEmpty());
  EXPECT_THAT(boot.AuditDetails(), SizeIs(1));
}

TEST_F(BootTest, WaitsForTheTpmAndTellsWhy) {
  EXPECT_EQ(boot_.state(), BootState::kWaiting);
  EXPECT_THAT(boot_.Name().quote, IsEmpty());
  boot_.NotTaken(Error(ErrorCode::kCustodianUnavailable, "it does not answer"));
  EXPECT_EQ(boot_.state(), BootState::kWaiting);
  EXPECT_THAT(boot_.Detail(), HasSubstr("it does not answer"));
  EXPECT_FALSE(boot_.Compare({{0, PcrValue{1}}}));
}

TEST_F(BootTest, TheQuoteIsPartOfItsName) {
  const std::string id = boot_.Name().id;
  boot_.NotTaken(Error(ErrorCode::kCustodianUnavailable, "it does not answer"));
  boot_.Take(SomeQuote({{0, PcrValue{}}, {7, PcrValue{}}}), kNow);
  EXPECT_EQ(boot_.state(), BootState::kAttested);
  EXPECT_THAT(boot_.Detail(), IsEmpty());
  EXPECT_EQ(boot_.Name().id, id);
  EXPECT_EQ(boot_.Name().quote, kDigestOfAbc);
  EXPECT_EQ(boot_.quoted(), kNow);
}

TEST_F(BootTest, PcrsThatLeaveTheQuoteAreNamedUntilTheyAreBack) {
  boot_.Take(SomeQuote({{0, PcrValue{}}, {7, PcrValue{}}}), kNow);
  EXPECT_FALSE(boot_.Compare({{0, PcrValue{}}, {7, PcrValue{}}, {9, PcrValue{1}}}));
  EXPECT_TRUE(boot_.Compare({{0, PcrValue{}}, {7, PcrValue{1}}}));
  EXPECT_EQ(boot_.state(), BootState::kChanged);
  EXPECT_THAT(boot_.Detail(), HasSubstr("PCR 7 changed"));
  EXPECT_FALSE(boot_.Compare({{0, PcrValue{}}, {7, PcrValue{2}}})) << "the same state";
  EXPECT_TRUE(boot_.Compare({{0, PcrValue{}}, {7, PcrValue{}}}));
  EXPECT_EQ(boot_.state(), BootState::kAttested);
}

TEST_F(BootTest, AnotherQuoteTakesThePlaceOfTheFormer) {
  boot_.Take(SomeQuote({{0, PcrValue{}}}), kNow);
  EXPECT_TRUE(boot_.Compare({{0, PcrValue{1}}}));
  boot_.Take(SomeQuote({{0, PcrValue{1}}}), kNow);
  EXPECT_EQ(boot_.state(), BootState::kAttested);
}

TEST_F(BootTest, TheAuditLogLearnsIdQuoteAndPcrs) {
  boot_.Take(SomeQuote({{0, PcrValue{}}, {7, PcrValue{}}}), kNow);
  const std::vector<audit::Event::Detail> details = boot_.AuditDetails();
  ASSERT_THAT(details, SizeIs(3));
  EXPECT_EQ(details[0].name.name(), "boot");
  EXPECT_EQ(std::get<audit::SafeText>(details[0].value).text(), boot_.Name().id);
  EXPECT_EQ(details[1].name.name(), "quote");
  EXPECT_EQ(std::get<audit::SafeText>(details[1].value).text(), kDigestOfAbc);
  EXPECT_EQ(std::get<uint64_t>(details[2].value), 0x81U);
}

}  // namespace
}  // namespace keyward
