#include "core/error.h"

#include "tests/support/matchers.h"

namespace keyward {
namespace {

TEST(ErrorTest, EveryNumberWithACodeHasANameThatLeadsBack) {
  int codes = 0;
  for (uint16_t number = 0; number < 1000; ++number) {
    const std::optional<ErrorCode> code = ErrorCodeFromNumber(number);
    if (!code) continue;
    ++codes;
    EXPECT_EQ(ErrorCodeFromName(Name(*code)), code) << number;
  }
  EXPECT_EQ(codes, static_cast<int>(ErrorCode::kCustodianBusy));
}

TEST(ErrorTest, ANumberThatIsNoCodeReadsAsInternal) {
  EXPECT_EQ(Name(static_cast<ErrorCode>(999)), "Internal");
  EXPECT_EQ(DefaultAction(static_cast<ErrorCode>(999)), Action::kGiveUp);
}

TEST(ErrorTest, TheCauseStaysInside) {
  const Error error = Error(ErrorCode::kIo, "the store cannot be written").WithCause("/var/x: EIO");
  EXPECT_EQ(error.ToString(), "Io: the store cannot be written (try again later)");
}

}  // namespace
}  // namespace keyward
