#include "policy/suggestion.h"

#include <gtest/gtest.h>

#include <array>

namespace keyward::policy {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::array kWords = {"users"sv, "groups"sv, "keys"sv, "peers"sv, "sessions"sv};

TEST(SuggestionTest, TyposFindTheirWord) {
  EXPECT_EQ(Suggest("key", kWords), "; did you mean 'keys'?");
  EXPECT_EQ(Suggest("kyes", kWords), "; did you mean 'keys'?");
  EXPECT_EQ(Suggest("gruops", kWords), "; did you mean 'groups'?");
  EXPECT_EQ(Suggest("session", kWords), "; did you mean 'sessions'?");
  EXPECT_EQ(Suggest("pears", kWords), "; did you mean 'peers'?");
}

TEST(SuggestionTest, TheNearestOfTwoWins) {
  EXPECT_EQ(Suggest("peer", std::array{"pear"sv, "peers"sv, "deer"sv}), "; did you mean 'pear'?");
  EXPECT_EQ(Suggest("peerss", std::array{"pears"sv, "peers"sv}), "; did you mean 'peers'?");
}

TEST(SuggestionTest, FarWordsSuggestNothing) {
  for (const std::string& word : {std::string(), std::string("x"), std::string("kx"),
                                  std::string("password"), std::string(100'000, 'k')}) {
    EXPECT_EQ(Suggest(word, kWords), "") << word.substr(0, 20);
  }
}

}  // namespace
}  // namespace keyward::policy
