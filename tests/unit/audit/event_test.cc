#include "audit/event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyward::audit {
namespace {

TEST(EventTest, EveryKindHasANameThatLeadsBackToIt) {
  for (int number = 0; number <= static_cast<int>(EventKind::kAuditSpace); ++number) {
    const auto kind = static_cast<EventKind>(number);
    EXPECT_FALSE(Name(kind).empty()) << number;
    EXPECT_EQ(EventKindFromName(Name(kind)), kind);
  }
  EXPECT_EQ(EventKindFromName("key.steal"), std::nullopt);
  EXPECT_EQ(EventKindFromName(""), std::nullopt);
}

TEST(SafeTextTest, LeavesNamesAsTheyAre) {
  EXPECT_EQ(SafeText("frontend.web_1-a/b:c@d+e=f, g").text(), "frontend.web_1-a/b:c@d+e=f, g");
}

TEST(SafeTextTest, EscapesWhatCouldBreakALine) {
  EXPECT_EQ(SafeText("a\"b\\c\n\x1b%").text(), "a%22b%5Cc%0A%1B%25");
  EXPECT_EQ(SafeText("\xc3\xa9").text(), "%C3%A9");
  EXPECT_EQ(SafeText(std::string_view("\0", 1)).text(), "%00");
}

TEST(SafeTextTest, IsBoundedAndCutsNoEscape) {
  EXPECT_EQ(SafeText(std::string(1000, 'a')).text(), std::string(kMaxTextSize, 'a'));
  EXPECT_EQ(SafeText(std::string(kMaxTextSize - 2, 'a') + "\nb").text(),
            std::string(kMaxTextSize - 2, 'a'));
}

TEST(DetailNameTest, IsWords) {
  static_assert(IsDetailName("first_kept"));
  static_assert(!IsDetailName("") && !IsDetailName("_a") && !IsDetailName("a\"") &&
                !IsDetailName("A"));
  EXPECT_FALSE(IsDetailName(std::string(kMaxDetailNameSize + 1, 'a')));
  EXPECT_EQ(DetailName("sealed").name(), "sealed");
}

}  // namespace
}  // namespace keyward::audit
