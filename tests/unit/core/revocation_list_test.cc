#include "core/revocation_list.h"

#include <fmt/format.h>
#include <sodium.h>

#include "tests/support/matchers.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

class RevocationListTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(crypto_sign_keypair(public_half_.data(), secret_half_.data()), 0);
  }
  PublicKey Signer() const { return PublicKey::FromEd25519(public_half_).value(); }
  std::string Signed(const std::string& composed) const {
    std::array<uint8_t, crypto_sign_BYTES> signature{};
    EXPECT_EQ(crypto_sign_detached(signature.data(), nullptr, AsBytes(composed).data(),
                                   composed.size(), secret_half_.data()),
              0);
    return WithSignature(composed, signature, Signer());
  }
  Result<RevocationList> Read(const std::string& text) const {
    return ReadRevocationList(text, Signer());
  }
  // What is signed, and still not a list.
  static std::string With(const std::string& line) {
    return Compose({.issued = {}, .epoch = 1, .revocations = {}}) + line + "\n";
  }

  const RevocationList list_{
      .issued = WallTime(std::chrono::milliseconds(1'750'000'000'123)),
      .epoch = 12,
      .revocations = {{.fingerprint = {0x5d, 1}, .name = "web", .version = 2, .at = {}},
                      {.fingerprint = {0x0a, 2}, .name = "sensor-7", .version = 0, .at = {}}}};
  std::array<uint8_t, crypto_sign_PUBLICKEYBYTES> public_half_{};
  std::array<uint8_t, crypto_sign_SECRETKEYBYTES> secret_half_{};
};

TEST_F(RevocationListTest, ComesBackAsItWas) {
  ASSERT_OK_AND_ASSIGN(const RevocationList read, Read(Signed(Compose(list_))));
  EXPECT_EQ(read, list_);
}

TEST_F(RevocationListTest, HasTheDocumentedForm) {
  const std::string zeros(60, '0');
  EXPECT_EQ(Compose(list_),
            "Keyward revocations v1\n"
            "issued 2025-06-15T15:06:40.123Z epoch 12\n"
            "key 5d01" +
                zeros +
                " web 2 1970-01-01T00:00:00.000Z\n"
                "peer 0a02" +
                zeros + " sensor-7 - 1970-01-01T00:00:00.000Z\n");
}

TEST_F(RevocationListTest, EveryByteCounts) {
  const std::string text = Signed(Compose(list_));
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(Read(changed)) << "byte " << i;
  }
}

TEST_F(RevocationListTest, EveryTruncationIsRefused) {
  const std::string text = Signed(Compose(list_));
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(Read(text.substr(0, size))) << size << " bytes";
  }
}

TEST_F(RevocationListTest, AnotherSignerIsRefused) {
  const std::string text = Signed(Compose(list_));
  SetUp();  // makes another pair
  EXPECT_THAT(Read(text), FailsWith(ErrorCode::kAuthenticationFailed));
}

TEST_F(RevocationListTest, WhatIsSignedAndSpelledOtherwiseIsRefused) {
  const std::string hex(64, 'a');
  const std::string at = "1970-01-01T00:00:00.000Z";
  const auto line_of = [&](std::string_view kind, std::string_view fingerprint,
                           std::string_view name_and_version) {
    return fmt::format("{} {} {} {}", kind, fingerprint, name_and_version, at);
  };
  ASSERT_OK(Read(Signed(With(line_of("key", hex, "web 2")))));
  const std::string upper(64, 'A');
  const std::string longer(66, 'a');
  for (const std::string& line :
       {std::string(), line_of("key", upper, "web 2"), line_of("key", hex, "web 02"),
        line_of("key", hex, "web -"), line_of("peer", hex, "web 2"), line_of("key", hex, "web 2 "),
        line_of("key", hex, "we\x1b 2"), line_of("key", hex, "- 2"), line_of("key", hex, ".web 2"),
        line_of("peer", hex, "_web -"), line_of("key", longer, "web 2"),
        fmt::format("key {} web 2 1970-01-01", hex), line_of("module", hex, "a -"),
        line_of("key", hex, "web 4294967296")}) {
    EXPECT_THAT(Read(Signed(With(line))), FailsWith(ErrorCode::kMalformed)) << line;
  }
  EXPECT_THAT(Read(Signed("Keyward revocations v1\n")), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(Read(Signed("")), FailsWith(ErrorCode::kMalformed));
}

TEST_F(RevocationListTest, ALaterVersionAndAHugeListAreToldApart) {
  EXPECT_THAT(Read(Signed("Keyward revocations v2\n")), FailsWith(ErrorCode::kNotSupported));
  EXPECT_THAT(Read(std::string(kMaxRevocationList + 1, '\n')), FailsWith(ErrorCode::kTooLarge));
}

}  // namespace
}  // namespace keyward
