// core/sealer.h, sentence by sentence.
#include <algorithm>

#include "tests/conformance/conformance_test.h"

namespace keyward::conformance {
namespace {

using ::testing::AnyOf;
using testing_support::FailsWith;

const ByteView kContext = AsBytes("key 1, version 2");

// Tampered bytes either no longer look like a blob or no longer authenticate.
MATCHER(IsRefused, "is refused as no blob or not authentic") {
  return ::testing::ExplainMatchResult(
      AnyOf(FailsWith(ErrorCode::kMalformed), FailsWith(ErrorCode::kAuthenticationFailed)), arg,
      result_listener);
}

TEST_P(BackendConformance, UnsealsWhatItSealed) {
  const Bytes long_context = RandomBytes(rng_, 300);
  for (const size_t size : {size_t{1}, size_t{32}, kMaxSealedSecret}) {
    for (const ByteView context : {kContext, ByteView(), ByteView(long_context)}) {
      const SecretBytes secret = NewSecret(size);
      ASSERT_OK_AND_ASSIGN(const Bytes blob, sealer().Seal(secret, context));
      ASSERT_OK_AND_ASSIGN(const SecretBytes out, sealer().Unseal(blob, context));
      EXPECT_TRUE(out.Equals(secret.RevealSecret())) << size;
    }
  }
}

TEST_P(BackendConformance, SealsNeitherTooMuchNorNothing) {
  EXPECT_THAT(sealer().Seal(NewSecret(kMaxSealedSecret + 1), kContext),
              FailsWith(ErrorCode::kTooLarge));
  EXPECT_THAT(sealer().Seal(SecretBytes(), kContext), FailsWith(ErrorCode::kInvalidArgument));
}

TEST_P(BackendConformance, ABlobHidesItsSecret) {
  const SecretBytes secret = NewSecret(32);
  ASSERT_OK_AND_ASSIGN(const Bytes blob, sealer().Seal(secret, kContext));
  ASSERT_OK_AND_ASSIGN(const Bytes again, sealer().Seal(secret, kContext));
  EXPECT_TRUE(std::ranges::search(blob, secret.RevealSecret().first(8)).empty());
  EXPECT_NE(blob, again) << "equal secrets must not show";
}

TEST_P(BackendConformance, ABlobIsBoundToItsContext) {
  const SecretBytes secret = NewSecret(32);
  ASSERT_OK_AND_ASSIGN(const Bytes blob, sealer().Seal(secret, kContext));
  for (const ByteView other :
       {AsBytes("key 1, version 3"), AsBytes("key 1, version "), ByteView()}) {
    EXPECT_THAT(sealer().Unseal(blob, other), FailsWith(ErrorCode::kAuthenticationFailed));
  }
  EXPECT_OK(sealer().Unseal(blob, kContext));
}

TEST_P(BackendConformance, ATamperedBlobIsRefused) {
  ASSERT_OK_AND_ASSIGN(const Bytes blob, sealer().Seal(NewSecret(32), kContext));
  // Every byte of a small blob, sixty-odd of a large one.
  for (size_t i = 0; i < blob.size(); i += 1 + blob.size() / 64) {
    Bytes tampered = blob;
    tampered[i] ^= 0x40;
    EXPECT_THAT(sealer().Unseal(tampered, kContext), IsRefused()) << "byte " << i;
  }
  EXPECT_OK(sealer().Unseal(blob, kContext)) << "tampered blobs must do no harm";
}

TEST_P(BackendConformance, ATruncatedOrLongerBlobIsRefused) {
  ASSERT_OK_AND_ASSIGN(Bytes blob, sealer().Seal(NewSecret(32), kContext));
  for (size_t size = 0; size < blob.size(); size += 1 + blob.size() / 32) {
    EXPECT_THAT(sealer().Unseal(ByteView(blob).first(size), kContext), IsRefused()) << size;
  }
  blob.push_back(0);
  EXPECT_THAT(sealer().Unseal(blob, kContext), IsRefused());
}

TEST_P(BackendConformance, WhatIsNoBlobIsMalformed) {
  EXPECT_THAT(sealer().Unseal({}, kContext), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(sealer().Unseal(AsBytes("not a blob"), kContext), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(sealer().Unseal(Bytes(100'000, 1), kContext), FailsWith(ErrorCode::kMalformed));
}

TEST_P(BackendConformance, ABlobServesALaterCustodian) {
  const SecretBytes secret = NewSecret(32);
  ASSERT_OK_AND_ASSIGN(const Bytes blob, sealer().Seal(secret, kContext));
  custodian_.reset();
  custodian_ = MakeCustodian();
  ASSERT_OK_AND_ASSIGN(const SecretBytes out, sealer().Unseal(blob, kContext));
  EXPECT_TRUE(out.Equals(secret.RevealSecret()));
}

TEST_P(BackendConformance, AnotherTokenCannotUnseal) {
  ASSERT_OK_AND_ASSIGN(const Bytes blob, sealer().Seal(NewSecret(32), kContext));
  custodian_.reset();
  backend_.reset();  // SoftHSM knows one configuration per process
  backend_ = GetParam().start();
  custodian_ = MakeCustodian();
  EXPECT_THAT(sealer().Unseal(blob, kContext), FailsWith(ErrorCode::kAuthenticationFailed))
      << "before it has sealed anything";
  ASSERT_OK(sealer().Seal(NewSecret(32), kContext));
  EXPECT_THAT(sealer().Unseal(blob, kContext), FailsWith(ErrorCode::kAuthenticationFailed));
}

}  // namespace
}  // namespace keyward::conformance
