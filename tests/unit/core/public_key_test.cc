#include "core/public_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "core/encoding.h"
#include "core/openssl_ptr.h"
#include "tests/support/matchers.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

TEST(PublicKeyTest, VerifiesAnEd25519SignatureThatLibsodiumMade) {
  Bytes public_half(crypto_sign_PUBLICKEYBYTES);
  Bytes secret_half(crypto_sign_SECRETKEYBYTES);
  crypto_sign_keypair(public_half.data(), secret_half.data());
  Bytes signature(crypto_sign_BYTES);
  const ByteView message = AsBytes("message");
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(),
                       secret_half.data());
  ASSERT_OK_AND_ASSIGN(const PublicKey key, PublicKey::FromEd25519(public_half));
  EXPECT_OK(key.Verify(message, signature));
  signature[0] ^= 1;
  EXPECT_THAT(key.Verify(message, signature), FailsWith(ErrorCode::kAuthenticationFailed));
  EXPECT_EQ(key.RawEd25519().value(), public_half);
}

TEST(PublicKeyTest, SpkiRoundTrips) {
  for (const char* curve : {"P-256", "P-384"}) {
    const OsslPtr<EVP_PKEY, EVP_PKEY_free> pair(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve));
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(pair.get(), &der);
    const Bytes spki(der, der + size);
    OPENSSL_free(der);
    ASSERT_OK_AND_ASSIGN(const PublicKey key, PublicKey::FromSpki(spki));
    EXPECT_EQ(key.spki(), spki);
    EXPECT_TRUE(key.ToPem().starts_with("-----BEGIN PUBLIC KEY-----"));
  }
}

TEST(PublicKeyTest, APointOffTheCurveIsRefused) {
  Bytes point(65, 1);
  point[0] = 4;
  EXPECT_THAT(PublicKey::FromEcPoint(Algorithm::kEcdsaP256, point),
              FailsWith(ErrorCode::kMalformed));
}

// Ed25519 accepts a key of low order as a key for which anybody can sign (RFC 8032, 5.1.7 checks
// none of this). The points of order 1, 2, 4 and 8, two of them written as no implementation would,
// and one that is on no curve at all.
TEST(PublicKeyTest, Ed25519KeyThatAnybodyCouldSignForIsRefused) {
  for (const std::string& hex :
       {"01" + std::string(62, '0'), "ec" + std::string(60, 'f') + "7f", std::string(64, '0'),
        std::string("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        std::string("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        "ed" + std::string(60, 'f') + "7f", "ee" + std::string(60, 'f') + "7f",
        "02" + std::string(62, '0')}) {
    ASSERT_OK_AND_ASSIGN(const Bytes raw, FromHex(hex));
    EXPECT_THAT(PublicKey::FromEd25519(raw), FailsWith(ErrorCode::kMalformed)) << hex;
    ASSERT_OK_AND_ASSIGN(Bytes spki, FromHex("302a300506032b6570032100"));  // RFC 8410
    Append(spki, raw);
    EXPECT_THAT(PublicKey::FromSpki(spki), FailsWith(ErrorCode::kMalformed)) << hex;
  }
}

// OpenSSL also reads a SEQUENCE of indefinite length. The last 32 bytes are then not the key; of
// this one they are a point all the same.
TEST(PublicKeyTest, AnEd25519KeyInBerIsRefused) {
  const std::string raw = "2c072c3527954198790bdf1f11d1f4aee6706f779dd6bec4951e917073478c97";
  ASSERT_OK_AND_ASSIGN(const Bytes der, FromHex("302a300506032b6570032100" + raw));
  EXPECT_OK(PublicKey::FromSpki(der));
  ASSERT_OK_AND_ASSIGN(const Bytes ber, FromHex("3080300506032b6570032100" + raw + "0000"));
  EXPECT_THAT(PublicKey::FromSpki(ber), FailsWith(ErrorCode::kMalformed));
}

TEST(PublicKeyTest, NonsenseIsRefused) {
  EXPECT_THAT(PublicKey::FromSpki(AsBytes("nonsense")), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(PublicKey::FromEd25519(Bytes(31)), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(EcdsaSignatureToDer(Bytes(63)), FailsWith(ErrorCode::kMalformed));
}

TEST(PublicKeyTest, AFailureLeavesTheApplicationsErrorQueueAlone) {
  ASSERT_EQ(ERR_peek_error(), 0U);
  EXPECT_FALSE(PublicKey::FromSpki(Bytes(44, 0xab)));
  EXPECT_FALSE(PublicKey::FromPem("-----BEGIN PUBLIC KEY-----\nnone\n"));
  Bytes point(65, 0x11);
  point[0] = 4;
  EXPECT_FALSE(PublicKey::FromEcPoint(Algorithm::kEcdsaP256, point));
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST(PublicKeyTest, PemRoundTrips) {
  const OsslPtr<EVP_PKEY, EVP_PKEY_free> pair(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  Bytes point(65);
  ASSERT_EQ(EVP_PKEY_get_octet_string_param(pair.get(), OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
                                            point.data(), point.size(), nullptr),
            1);
  ASSERT_OK_AND_ASSIGN(const PublicKey key, PublicKey::FromEcPoint(Algorithm::kEcdsaP256, point));
  EXPECT_THAT(PublicKey::FromPem(key.ToPem()), testing_support::IsOkAndHolds(key));
  EXPECT_THAT(PublicKey::FromPem("a comment before it\n" + key.ToPem()),
              testing_support::IsOkAndHolds(key));
}

TEST(PublicKeyTest, APemOfAnythingElseIsRefused) {
  EXPECT_THAT(PublicKey::FromPem(""), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(PublicKey::FromPem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
              FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(PublicKey::FromPem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
              FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(PublicKey::FromPem(std::string(kMaxPem + 1, '-')), FailsWith(ErrorCode::kTooLarge));
}

}  // namespace
}  // namespace keyward
