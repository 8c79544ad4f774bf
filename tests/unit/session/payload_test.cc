#include "session/payload.h"

#include <string>

#include "tests/support/matchers.h"

namespace keyward::session {
namespace {

using testing_support::FailsWith;

constexpr std::string_view kServer = "TLS 1.3, server CertificateVerify";
constexpr std::string_view kClient = "TLS 1.3, client CertificateVerify";

// RFC 8446, 4.4.3
std::string Tls13(std::string_view context, size_t hash_size) {
  return std::string(64, ' ') + std::string(context) + std::string(1, '\0') +
         std::string(hash_size, 'h');
}

Result<void> Check(Purpose purpose, std::string_view payload) {
  return CheckPayload(purpose, AsBytes(payload));
}

TEST(PayloadTest, Tls13CertificateVerifyOfTheRightRoleIsAccepted) {
  for (const size_t hash : {32U, 48U}) {
    EXPECT_OK(Check(Purpose::kTls13Server, Tls13(kServer, hash)));
    EXPECT_OK(Check(Purpose::kTls13Client, Tls13(kClient, hash)));
    EXPECT_THAT(Check(Purpose::kTls13Server, Tls13(kClient, hash)),
                FailsWith(ErrorCode::kMalformed));
    EXPECT_THAT(Check(Purpose::kTls13Client, Tls13(kServer, hash)),
                FailsWith(ErrorCode::kMalformed));
  }
}

TEST(PayloadTest, Tls13HashOfAnyOtherLengthIsRefused) {
  for (size_t hash = 0; hash <= 70; ++hash) {
    if (hash == 32 || hash == 48) continue;
    EXPECT_THAT(Check(Purpose::kTls13Server, Tls13(kServer, hash)),
                FailsWith(ErrorCode::kMalformed))
        << hash;
  }
}

TEST(PayloadTest, Tls13PrefixMustHoldToTheByte) {
  const std::string good = Tls13(kServer, 32);
  for (size_t at = 0; at < 64 + kServer.size() + 1; ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    EXPECT_THAT(Check(Purpose::kTls13Server, bad), FailsWith(ErrorCode::kMalformed)) << at;
  }
  EXPECT_THAT(Check(Purpose::kTls13Server, good.substr(1)), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(Check(Purpose::kTls13Server, " " + good), FailsWith(ErrorCode::kMalformed));
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(Check(Purpose::kTls13Server, good.substr(0, size)),
                FailsWith(ErrorCode::kMalformed));
  }
}

TEST(PayloadTest, RawTakesOneToSixtyFourKibibytes) {
  EXPECT_THAT(Check(Purpose::kRaw, ""), FailsWith(ErrorCode::kMalformed));
  EXPECT_OK(Check(Purpose::kRaw, "x"));
  EXPECT_OK(Check(Purpose::kRaw, std::string(kMaxRawPayload, 'x')));
  EXPECT_THAT(Check(Purpose::kRaw, std::string(kMaxRawPayload + 1, 'x')),
              FailsWith(ErrorCode::kTooLarge));
}

TEST(PayloadTest, RawIsNoWayAroundTheOtherPurposes) {
  for (const std::string& lookalike :
       {Tls13(kServer, 32), Tls13(kClient, 48), std::string(64, ' '), std::string(65, ' '),
        std::string("AICO-SIG-V1"), std::string("AICO-SIG-V1\x01") + "AICO-HS1"}) {
    EXPECT_THAT(Check(Purpose::kRaw, lookalike), FailsWith(ErrorCode::kMalformed)) << lookalike;
  }
  // What no other purpose ever signs is the caller's own.
  EXPECT_OK(Check(Purpose::kRaw, std::string(63, ' ')));
  EXPECT_OK(Check(Purpose::kRaw, "AICO-SIG-V"));
  EXPECT_OK(Check(Purpose::kRaw, " AICO-SIG-V1"));
}

TEST(PayloadTest, AicoTranscriptsAreNeverSignedOnRequest) {
  EXPECT_THAT(Check(Purpose::kAico, "AICO-SIG-V1\x01"), FailsWith(ErrorCode::kUnknownPurpose));
  EXPECT_THAT(Check(Purpose::kAico, "anything"), FailsWith(ErrorCode::kUnknownPurpose));
}

}  // namespace
}  // namespace keyward::session
