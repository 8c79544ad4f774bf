#include "core/purpose.h"

#include <gtest/gtest.h>

namespace keyward {
namespace {

TEST(PurposeTest, EveryNameLeadsBack) {
  for (const Purpose purpose : kPurposes) EXPECT_EQ(PurposeFromName(Name(purpose)), purpose);
}

TEST(PurposeTest, OtherNamesAreNone) {
  for (const std::string_view name : {"", "tls13", "TLS13-SERVER", "aico ", "unknown"}) {
    EXPECT_EQ(PurposeFromName(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace keyward
