#include "tpm/blob.h"

#include <functional>

#include "tests/support/matchers.h"
#include "tpm/templates.h"

namespace keyward::tpm {
namespace {

using testing_support::FailsWith;

WrappedObject ObjectOf(const TPM2B_PUBLIC& area) {
  WrappedObject object{};
  object.public_area = area;
  object.private_area.size = 100;
  return object;
}

KeyRecord RecordOf(Algorithm algorithm) {
  return {.id = {9, 8, 7}, .key = ObjectOf(*SigningTemplate(algorithm)), .auth_blob = {1, 2, 3}};
}

TEST(BlobTest, AKeyReferenceReadsBackAsItWasWritten) {
  for (const Algorithm algorithm :
       {Algorithm::kEcdsaP256, Algorithm::kEcdsaP384, Algorithm::kRsaPss2048}) {
    ASSERT_OK_AND_ASSIGN(const Bytes reference, EncodeKeyReference(RecordOf(algorithm)));
    ASSERT_OK_AND_ASSIGN(const KeyRecord record, DecodeKeyReference(reference));
    EXPECT_EQ(record.id, (KeyId{9, 8, 7}));
    EXPECT_EQ(record.auth_blob, (Bytes{1, 2, 3}));
    EXPECT_EQ(record.key.private_area.size, 100);
    ASSERT_OK_AND_ASSIGN(const Algorithm found,
                         SigningAlgorithmOf(record.key.public_area.publicArea));
    EXPECT_EQ(found, algorithm);
  }
}

TEST(BlobTest, EveryTruncationIsRefused) {
  ASSERT_OK_AND_ASSIGN(const Bytes reference, EncodeKeyReference(RecordOf(Algorithm::kEcdsaP256)));
  for (size_t size = 0; size < reference.size(); ++size) {
    EXPECT_THAT(DecodeKeyReference(ByteView(reference).first(size)),
                FailsWith(ErrorCode::kMalformed))
        << size;
  }
  ASSERT_OK_AND_ASSIGN(const Bytes blob, EncodeSealedBlob(ObjectOf(SealedTemplate())));
  EXPECT_OK(DecodeSealedBlob(blob));
  for (size_t size = 0; size < blob.size(); ++size) {
    EXPECT_THAT(DecodeSealedBlob(ByteView(blob).first(size)), FailsWith(ErrorCode::kMalformed))
        << size;
  }
}

TEST(BlobTest, BytesLeftOverAreRefused) {
  ASSERT_OK_AND_ASSIGN(Bytes reference, EncodeKeyReference(RecordOf(Algorithm::kEcdsaP256)));
  reference.push_back(0);
  EXPECT_THAT(DecodeKeyReference(reference), FailsWith(ErrorCode::kMalformed));
  ASSERT_OK_AND_ASSIGN(Bytes blob, EncodeSealedBlob(ObjectOf(SealedTemplate())));
  blob.push_back(0);
  EXPECT_THAT(DecodeSealedBlob(blob), FailsWith(ErrorCode::kMalformed));
}

TEST(BlobTest, OneKindDoesNotPassForTheOther) {
  ASSERT_OK_AND_ASSIGN(const Bytes reference, EncodeKeyReference(RecordOf(Algorithm::kEcdsaP256)));
  ASSERT_OK_AND_ASSIGN(const Bytes blob, EncodeSealedBlob(ObjectOf(SealedTemplate())));
  EXPECT_THAT(DecodeSealedBlob(reference), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(DecodeKeyReference(blob), FailsWith(ErrorCode::kMalformed));
}

TEST(BlobTest, AnObjectOfWeakerAttributesIsRefused) {
  const std::vector<std::function<void(TPMT_PUBLIC&)>> weaker = {
      [](TPMT_PUBLIC& area) { area.objectAttributes &= ~TPMA_OBJECT_FIXEDTPM; },
      [](TPMT_PUBLIC& area) { area.objectAttributes &= ~TPMA_OBJECT_NODA; },
      [](TPMT_PUBLIC& area) { area.objectAttributes |= TPMA_OBJECT_DECRYPT; },
      [](TPMT_PUBLIC& area) { area.nameAlg = TPM2_ALG_SHA1; },
      [](TPMT_PUBLIC& area) { area.authPolicy.size = 32; },
      [](TPMT_PUBLIC& area) { area.parameters.eccDetail.scheme.details.ecdsa.hashAlg = 4; },
  };
  for (const auto& weaken : weaker) {
    KeyRecord record = RecordOf(Algorithm::kEcdsaP256);
    weaken(record.key.public_area.publicArea);
    ASSERT_OK_AND_ASSIGN(const Bytes reference, EncodeKeyReference(record));
    EXPECT_THAT(DecodeKeyReference(reference), FailsWith(ErrorCode::kMalformed));
  }
}

TEST(BlobTest, AStorageKeyIsNoSealedObject) {
  ASSERT_OK_AND_ASSIGN(const Bytes blob, EncodeSealedBlob(ObjectOf(StoragePrimaryTemplate())));
  EXPECT_THAT(DecodeSealedBlob(blob), FailsWith(ErrorCode::kMalformed));
}

}  // namespace
}  // namespace keyward::tpm
