#include "core/last_failure.h"

#include "core/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

class LastFailureTest : public ::testing::Test {
 protected:
  testing_support::TempDir directory_;
};

TEST_F(LastFailureTest, IsReadAsItWasWrittenAndForgotten) {
  ASSERT_OK_AND_ASSIGN(const std::optional<Error> nothing, ReadLastFailure(directory_.path()));
  EXPECT_FALSE(nothing);
  ASSERT_OK(WriteLastFailure(
      directory_.path(), Error(ErrorCode::kRolledBack, "an old copy\nof it").WithCause("epoch 3")));
  ASSERT_OK_AND_ASSIGN(const std::optional<Error> last, ReadLastFailure(directory_.path()));
  ASSERT_TRUE(last);
  EXPECT_EQ(last->code(), ErrorCode::kRolledBack);
  EXPECT_EQ(last->message(), "an old copy of it");
  EXPECT_EQ(last->cause(), "");
  ASSERT_OK(ForgetLastFailure(directory_.path()));
  ASSERT_OK_AND_ASSIGN(const std::optional<Error> gone, ReadLastFailure(directory_.path()));
  EXPECT_FALSE(gone);
  EXPECT_OK(ForgetLastFailure(directory_.path()));
}

TEST_F(LastFailureTest, AMessageOfAnyLengthFits) {
  ASSERT_OK(WriteLastFailure(directory_.path(), Error(ErrorCode::kIo, std::string(5000, 'x'))));
  ASSERT_OK_AND_ASSIGN(const std::optional<Error> last, ReadLastFailure(directory_.path()));
  ASSERT_TRUE(last);
  EXPECT_GT(last->message().size(), 1000U);
}

TEST_F(LastFailureTest, RefusesWhatItDidNotWrite) {
  for (const char* text : {"", "RolledBack", "Nonsense why\n", "RolledBack why", "\n"}) {
    ASSERT_OK(ReplaceFile(directory_.path() / "stopped-because", AsBytes(text)));
    EXPECT_THAT(ReadLastFailure(directory_.path()), FailsWith(ErrorCode::kMalformed)) << text;
  }
}

}  // namespace
}  // namespace keyward
