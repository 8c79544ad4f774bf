#include "policy/system_names.h"

#include "tests/support/matchers.h"

namespace keyward::policy {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

TEST(SystemNamesTest, KnowsTheHostsUsersAndGroups) {
  const SystemNames names;
  EXPECT_THAT(names.UserId("root"), IsOkAndHolds(0U));
  EXPECT_THAT(names.UserId("daemon"), IsOkAndHolds(1U));  // fixed in Debian's base-passwd
  EXPECT_THAT(names.GroupId("root"), IsOkAndHolds(0U));
  EXPECT_THAT(names.GroupId("tty"), IsOkAndHolds(5U));
}

TEST(SystemNamesTest, UnknownNamesAreNotFound) {
  const SystemNames names;
  for (const char* name : {"", "no-such-name-here", "no:such", "../root"}) {
    EXPECT_THAT(names.UserId(name), FailsWith(ErrorCode::kNotFound)) << name;
    EXPECT_THAT(names.GroupId(name), FailsWith(ErrorCode::kNotFound)) << name;
  }
}

}  // namespace
}  // namespace keyward::policy
