#include "api/bus_values.h"

#include "tests/support/matchers.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

using PcrRow = sdbus::Struct<uint32_t, Bytes>;
using RevocationRow = sdbus::Struct<Bytes, std::string, uint32_t, uint64_t, Bytes>;

constexpr size_t kDigest = 32;

TEST(BusValuesTest, PcrsComeWhole) {
  ASSERT_OK_AND_ASSIGN(const PcrValues values, PcrValuesFromBus({PcrRow(7, Bytes(kDigest, 5))}));
  PcrValue all_fives{};
  all_fives.fill(5);
  EXPECT_EQ(values, (PcrValues{{7, all_fives}}));
}

TEST(BusValuesTest, APcrOfAnotherSizeIsNeitherCutNorFilledUp) {
  for (const size_t size : {size_t{0}, kDigest - 1, kDigest + 1}) {
    EXPECT_THAT(PcrValuesFromBus({PcrRow(7, Bytes(size, 5))}), FailsWith(ErrorCode::kMalformed))
        << size;
  }
}

TEST(BusValuesTest, ARevocationHasItsFingerprintNameVersionAndTime) {
  ASSERT_OK_AND_ASSIGN(const Revocation revocation,
                       RevocationFromBus(RevocationRow(Bytes(kDigest, 9), "web", 2, 1000, {})));
  EXPECT_EQ(revocation.fingerprint[31], 9);
  EXPECT_EQ(revocation.name, "web");
  EXPECT_EQ(revocation.version, 2U);
  EXPECT_EQ(revocation.at, WallTime(std::chrono::seconds(1)));
}

TEST(BusValuesTest, AFingerprintOfAnotherSizeIsNeitherCutNorFilledUp) {
  for (const size_t size : {size_t{0}, kDigest - 1, kDigest + 1}) {
    EXPECT_THAT(RevocationFromBus(RevocationRow(Bytes(size, 9), "web", 2, 1000, {})),
                FailsWith(ErrorCode::kMalformed))
        << size;
  }
}

}  // namespace
}  // namespace keyward
