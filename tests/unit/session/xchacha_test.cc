#include "session/xchacha.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "tests/support/matchers.h"

namespace keyward::session {
namespace {

using testing_support::FailsWith;
using Way = Result<void> (XChaCha::*)(ByteView, ByteView, ByteView, MutableBytes);

constexpr std::pair<Way, Way> kWays[] = {{&XChaCha::Seal, &XChaCha::Open},
                                         {&XChaCha::SealWithOpenssl, &XChaCha::OpenWithOpenssl}};

XChaCha Cipher(ByteView key) { return XChaCha::Create(SecretBytes::CopyOf(key).value()).value(); }

std::filesystem::path VectorFile() {
  const char* folder = std::getenv("KEYWARD_VECTORS");
  return std::filesystem::path(folder != nullptr ? folder : KEYWARD_DEFAULT_VECTORS) /
         "wycheproof/xchacha20_poly1305_test.json";
}

struct Vector {
  Bytes key, nonce, associated, plaintext, sealed;
  bool valid;
};

Vector ReadVector(const nlohmann::json& test) {
  const auto hex = [&](const char* name) {
    return FromHex(test.at(name).get<std::string>()).value();
  };
  Vector vector{hex("key"), hex("iv"), hex("aad"),
                hex("msg"), hex("ct"), test.at("result") == "valid"};
  Append(vector.sealed, hex("tag"));
  return vector;
}

void CheckVector(const Vector& vector) {
  XChaCha cipher = Cipher(vector.key);
  for (const auto& [seal, open] : kWays) {
    Bytes opened(vector.plaintext.size());
    const Result<void> result =
        (cipher.*open)(vector.nonce, vector.associated, vector.sealed, opened);
    if (!vector.valid) {
      EXPECT_THAT(result, FailsWith(ErrorCode::kAuthenticationFailed));
      continue;
    }
    EXPECT_OK(result);
    EXPECT_EQ(opened, vector.plaintext);
    Bytes sealed(vector.plaintext.size() + kXChaChaTagSize);
    ASSERT_OK((cipher.*seal)(vector.nonce, vector.associated, vector.plaintext, sealed));
    EXPECT_EQ(sealed, vector.sealed);
  }
}

TEST(XChaChaTest, WycheproofVectorsHoldBothWays) {
  std::ifstream file(VectorFile());
  if (!file) GTEST_SKIP() << "no test vectors at " << VectorFile() << "; set KEYWARD_VECTORS";
  const nlohmann::json vectors = nlohmann::json::parse(file);
  size_t checked = 0;
  for (const nlohmann::json& group : vectors.at("testGroups")) {
    for (const nlohmann::json& test : group.at("tests")) {
      SCOPED_TRACE(test.at("tcId").dump() + " " + test.at("comment").dump());
      if (group.at("ivSize") != 192) continue;  // the caller's nonce always has 24 bytes
      CheckVector(ReadVector(test));
      ++checked;
    }
  }
  EXPECT_GT(checked, 200U);
}

TEST(XChaChaTest, BothWaysMakeTheSameBytesAroundTheirBorder) {
  const Bytes key(kXChaChaKeySize, 7);
  const Bytes nonce(kXChaChaNonceSize, 9);
  const Bytes associated = ToBytes(AsBytes("associated"));
  XChaCha cipher = Cipher(key);
  for (const size_t size : {0U, 1U, 63U, 64U, 1007U, 1008U, 1023U, 1024U, 1025U, 70000U}) {
    const Bytes plaintext(size, 'p');
    Bytes one(size + kXChaChaTagSize);
    Bytes other(size + kXChaChaTagSize);
    ASSERT_OK(cipher.Seal(nonce, associated, plaintext, one));
    ASSERT_OK(cipher.SealWithOpenssl(nonce, associated, plaintext, other));
    EXPECT_EQ(one, other) << size;
    Bytes opened(size);
    ASSERT_OK(cipher.Open(nonce, associated, other, opened));
    EXPECT_EQ(opened, plaintext) << size;
  }
}

TEST(XChaChaTest, WrongTagLeavesNoPlaintextBehind) {
  const Bytes nonce(kXChaChaNonceSize);
  XChaCha cipher = Cipher(Bytes(kXChaChaKeySize, 1));
  for (const auto& [seal, open] : kWays) {
    for (const size_t size : {16U, 4096U}) {
      Bytes sealed(size + kXChaChaTagSize);
      ASSERT_OK((cipher.*seal)(nonce, {}, Bytes(size, 'p'), sealed));
      sealed.back() ^= 1;
      Bytes out(size, 'o');
      EXPECT_THAT((cipher.*open)(nonce, {}, sealed, out),
                  FailsWith(ErrorCode::kAuthenticationFailed));
      EXPECT_EQ(out, Bytes(size, 0));
    }
  }
}

TEST(XChaChaTest, ShorterThanATagIsRefused) {
  XChaCha cipher = Cipher(Bytes(kXChaChaKeySize));
  for (const auto& [seal, open] : kWays) {
    for (size_t size = 0; size < kXChaChaTagSize; ++size) {
      EXPECT_THAT((cipher.*open)(Bytes(kXChaChaNonceSize), {}, Bytes(size), {}),
                  FailsWith(ErrorCode::kAuthenticationFailed));
    }
  }
}

TEST(XChaChaTest, KeyHasThirtyTwoBytes) {
  for (const size_t size : {1U, 31U, 33U}) {
    EXPECT_THAT(XChaCha::Create(SecretBytes::Create(size).value()),
                FailsWith(ErrorCode::kInvalidArgument));
  }
  EXPECT_THAT(XChaCha::Create(SecretBytes()), FailsWith(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace keyward::session
