#include "session/token.h"

#include <numeric>

#include "core/encoding.h"
#include "tests/support/matchers.h"

namespace keyward::session {
namespace {

using testing_support::FailsWith;

class TokenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::iota(claims_.boot.begin(), claims_.boot.end(), uint8_t{32});
    ASSERT_OK_AND_ASSIGN(key_, KeyFrom(0));
    ASSERT_OK_AND_ASSIGN(const SecretBytes token, MakeToken(claims_, key_));
    token_ = ToBytes(token.RevealSecret());
  }
  // 32 bytes that count up.
  static Result<SecretBytes> KeyFrom(uint8_t first) {
    Bytes bytes(32);
    std::iota(bytes.begin(), bytes.end(), first);
    return SecretBytes::CopyOf(bytes);
  }

  TokenClaims claims_{.session = 0x0102030405060708, .boot = {}};
  SecretBytes key_;
  Bytes token_;
};

// The MAC was made by Python's hashlib.
TEST_F(TokenTest, HasTheFormThatIsDocumented) {
  EXPECT_EQ(ToHex(token_),
            "4b57535401"
            "0102030405060708"
            "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
            "32d77b35585ad80e35d187d80ef372d46f0c3bb667f9a5afabe3bbea71b042df");
  EXPECT_EQ(CheckToken(token_, key_), claims_);
}

TEST_F(TokenTest, EveryBitCounts) {
  for (size_t at = 0; at < token_.size(); ++at) {
    Bytes altered = token_;
    altered[at] ^= 0x10;
    const ErrorCode code = at < 5 ? ErrorCode::kMalformed : ErrorCode::kAuthenticationFailed;
    EXPECT_THAT(CheckToken(altered, key_), FailsWith(code)) << at;
  }
}

TEST_F(TokenTest, OfAnotherSizeIsNone) {
  for (size_t size = 0; size < token_.size(); ++size) {
    EXPECT_THAT(CheckToken(ByteView(token_).first(size), key_), FailsWith(ErrorCode::kMalformed));
  }
  token_.push_back(0);
  EXPECT_THAT(CheckToken(token_, key_), FailsWith(ErrorCode::kMalformed));
}

TEST_F(TokenTest, OfAnotherKeyIsNotGenuine) {
  ASSERT_OK_AND_ASSIGN(const SecretBytes other, KeyFrom(1));
  EXPECT_THAT(CheckToken(token_, other), FailsWith(ErrorCode::kAuthenticationFailed));
}

}  // namespace
}  // namespace keyward::session
