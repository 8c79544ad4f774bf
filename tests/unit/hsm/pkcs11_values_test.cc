// How PKCS#11's values are read.
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/openssl_ptr.h"
#include "hsm/ec_point.h"
#include "hsm/object_template.h"
#include "hsm/return_value.h"
#include "tests/support/matchers.h"

namespace keyward::hsm {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

TEST(ReturnValueTest, SaysWhatToDoAboutEachKindOfFailure) {
  EXPECT_OK(Check(CKR_OK, "C_Sign"));
  for (const CK_RV gone :
       {CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_SESSION_HANDLE_INVALID, CKR_DEVICE_ERROR,
        CKR_GENERAL_ERROR, CKR_USER_NOT_LOGGED_IN, CKR_SESSION_CLOSED, CKR_FUNCTION_FAILED,
        CKR_CRYPTOKI_NOT_INITIALIZED, CK_RV{0x80000001}}) {
    EXPECT_THAT(Check(gone, "C_Sign"), FailsWith(ErrorCode::kCustodianUnavailable)) << gone;
  }
  EXPECT_THAT(Check(CKR_PIN_LOCKED, "C_Login"), FailsWith(ErrorCode::kLockedOut));
  EXPECT_THAT(Check(CKR_PIN_INCORRECT, "C_Login"), FailsWith(ErrorCode::kPinRejected));
  EXPECT_THAT(Check(CKR_KEY_HANDLE_INVALID, "C_SignInit"), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(Check(CKR_MECHANISM_INVALID, "C_SignInit"), FailsWith(ErrorCode::kNotSupported));
}

TEST(ReturnValueTest, NamesTheValueForTheLogAlone) {
  const Error known = Check(CKR_DEVICE_REMOVED, "C_Sign").error();
  EXPECT_EQ(known.cause(), "C_Sign: CKR_DEVICE_REMOVED");
  EXPECT_EQ(known.message().find("CKR"), std::string::npos);
  EXPECT_EQ(NameOf(0x80000001), "CK_RV 0x80000001");
}

TEST(EcPointTest, TakesEd25519PointsWrappedAndBare) {
  const OsslPtr<EVP_PKEY, EVP_PKEY_free> pair(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  Bytes raw(32);
  size_t size = raw.size();
  ASSERT_EQ(EVP_PKEY_get_raw_public_key(pair.get(), raw.data(), &size), 1);
  const PublicKey expected = PublicKey::FromEd25519(raw).value();
  Bytes wrapped = {0x04, 0x20};
  Append(wrapped, raw);
  EXPECT_THAT(PublicKeyOfPoint(Algorithm::kEd25519, raw), IsOkAndHolds(expected));
  EXPECT_THAT(PublicKeyOfPoint(Algorithm::kEd25519, wrapped), IsOkAndHolds(expected));
}

TEST(EcPointTest, TakesCurvePointsWrappedAndBare) {
  const OsslPtr<EVP_PKEY, EVP_PKEY_free> pair(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  unsigned char* encoded = nullptr;
  const size_t size = EVP_PKEY_get1_encoded_public_key(pair.get(), &encoded);
  const Bytes point(encoded, encoded + size);
  OPENSSL_free(encoded);
  Bytes wrapped = {0x04, 0x41};
  Append(wrapped, point);
  const Result<PublicKey> bare = PublicKeyOfPoint(Algorithm::kEcdsaP256, point);
  ASSERT_OK(bare);
  EXPECT_THAT(PublicKeyOfPoint(Algorithm::kEcdsaP256, wrapped), IsOkAndHolds(*bare));
}

TEST(EcPointTest, RefusesWhatIsNoPoint) {
  for (const Bytes& bytes : {Bytes(), Bytes{0x04}, Bytes{0x04, 0x00}, Bytes(65, 0x04),
                             Bytes(67, 0x04), Bytes(1024, 0x04)}) {
    EXPECT_THAT(PublicKeyOfPoint(Algorithm::kEcdsaP256, bytes), FailsWith(ErrorCode::kMalformed));
    EXPECT_THAT(PublicKeyOfPoint(Algorithm::kEd25519, bytes), FailsWith(ErrorCode::kMalformed));
  }
}

TEST(CurveTest, EachAlgorithmIsKnownByItsCurve) {
  for (const Algorithm algorithm :
       {Algorithm::kEd25519, Algorithm::kEcdsaP256, Algorithm::kEcdsaP384}) {
    EXPECT_THAT(AlgorithmOfCurve(CurveOf(algorithm)), IsOkAndHolds(algorithm));
  }
  Bytes name = {0x13, 0x0C};
  Append(name, AsBytes("edwards25519"));
  EXPECT_THAT(AlgorithmOfCurve(name), IsOkAndHolds(Algorithm::kEd25519));
  EXPECT_THAT(AlgorithmOfCurve({}), FailsWith(ErrorCode::kDataCorrupt));
}

}  // namespace
}  // namespace keyward::hsm
