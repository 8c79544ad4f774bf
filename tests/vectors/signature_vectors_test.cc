// PublicKey against Project Wycheproof: signatures that hold, and the many ways to look like one.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/public_key.h"
#include "tests/support/matchers.h"

namespace keyward {
namespace {

using nlohmann::json;
using testing_support::FailsWith;

struct VectorFile {
  const char* name;
  Algorithm algorithm;
};

void PrintTo(const VectorFile& file, std::ostream* out) { *out << Name(file.algorithm); }

std::filesystem::path PathOf(const VectorFile& file) {
  const char* folder = std::getenv("KEYWARD_VECTORS");
  return std::filesystem::path(folder != nullptr ? folder : KEYWARD_DEFAULT_VECTORS) /
         "wycheproof" / file.name;
}

Bytes Hex(const json& object, const char* name) {
  return FromHex(object.at(name).get<std::string>()).value();
}

// The key from its parts, as a custodian has them, rather than from its SPKI.
Result<PublicKey> FromParts(Algorithm algorithm, const json& key) {
  if (algorithm == Algorithm::kEd25519) return PublicKey::FromEd25519(Hex(key, "pk"));
  if (algorithm == Algorithm::kRsaPss2048) {
    return PublicKey::FromRsa(Hex(key, "modulus"),
                              static_cast<uint32_t>(std::stoul(
                                  key.at("publicExponent").get<std::string>(), nullptr, 16)));
  }
  return PublicKey::FromEcPoint(algorithm, Hex(key, "uncompressed"));
}

void CheckSignature(const PublicKey& key, const json& test) {
  SCOPED_TRACE("tcId " + test.at("tcId").dump() + " " + test.at("comment").dump());
  const Result<void> result = key.Verify(Hex(test, "msg"), Hex(test, "sig"));
  if (test.at("result") == "valid") {
    EXPECT_OK(result);
  } else {
    EXPECT_THAT(result, FailsWith(ErrorCode::kAuthenticationFailed));
  }
}

class SignatureVectorsTest : public ::testing::TestWithParam<VectorFile> {};

TEST_P(SignatureVectorsTest, WycheproofIsDecidedAsItSays) {
  const std::filesystem::path path = PathOf(GetParam());
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << "no test vectors at " << path << "; set KEYWARD_VECTORS";
  const json vectors = json::parse(file);
  size_t checked = 0;
  for (const json& group : vectors.at("testGroups")) {
    ASSERT_OK_AND_ASSIGN(const PublicKey key, PublicKey::FromSpki(Hex(group, "publicKeyDer")));
    EXPECT_EQ(key.algorithm(), GetParam().algorithm);
    EXPECT_EQ(FromParts(GetParam().algorithm, group.at("publicKey")), key);
    for (const json& test : group.at("tests")) {
      CheckSignature(key, test);
      ++checked;
    }
  }
  EXPECT_EQ(checked, vectors.at("numberOfTests").get<size_t>());
  EXPECT_GT(checked, 100U);
}

INSTANTIATE_TEST_SUITE_P(
    Wycheproof, SignatureVectorsTest,
    ::testing::Values(VectorFile{"ed25519_test.json", Algorithm::kEd25519},
                      VectorFile{"ecdsa_secp256r1_sha256_test.json", Algorithm::kEcdsaP256},
                      VectorFile{"rsa_pss_2048_sha256_mgf1_32_test.json", Algorithm::kRsaPss2048}));

}  // namespace
}  // namespace keyward
