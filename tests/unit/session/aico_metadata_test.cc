#include "session/aico_metadata.h"

#include "session/aico_message.h"
#include "tests/support/matchers.h"

namespace keyward::session {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

constexpr size_t kMaxDepth = 16;

// {"a":[[...]]}: `levels` containers, one in the other.
std::string Nested(size_t levels) {
  return R"({"a":)" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}";
}

std::string Long(size_t size) { return R"({"a":")" + std::string(size - 8, 'x') + "\"}"; }

TEST(AicoMetadataTest, ComposesOwnMembersFirst) {
  EXPECT_THAT(ComposeMetadata(3, 1, ""), IsOkAndHolds(R"({"seq":3,"epoch":1})"));
  EXPECT_THAT(ComposeMetadata(3, 1, "{ }"), IsOkAndHolds(R"({"seq":3,"epoch":1})"));
  EXPECT_THAT(ComposeMetadata(UINT64_MAX, 0, R"({"b": [1, null], "a": "é"})"),
              IsOkAndHolds(R"({"seq":18446744073709551615,"epoch":0,"a":"é","b":[1,null]})"));
}

TEST(AicoMetadataTest, ParsesWhatItComposed) {
  for (const std::string application : {"", R"({"a":{"seq":1}})", R"({"x":-1.5,"y":"\u0000"})"}) {
    ASSERT_OK_AND_ASSIGN(const std::string text, ComposeMetadata(7, 9, application));
    ASSERT_OK_AND_ASSIGN(const ParsedMetadata parsed, ParseMetadata(text));
    EXPECT_EQ(parsed.sequence, 7U);
    EXPECT_EQ(parsed.epoch, 9U);
    EXPECT_EQ(parsed.application, application);
  }
}

TEST(AicoMetadataTest, ReservedMembersAreRefused) {
  for (const char* text : {R"({"seq":1})", R"({"epoch":null})", R"({"\u0073eq":1})"}) {
    EXPECT_THAT(ComposeMetadata(0, 0, text), FailsWith(ErrorCode::kMalformed)) << text;
  }
}

TEST(AicoMetadataTest, OnlyAJsonObjectIsTaken) {
  for (const char* text : {"[]", "1", "null", "\"x\"", "{", "{}x", "{}{}", "{'a':1}", "{\"a\":}",
                           "{\"a\":1,}", " ", "// c\n{}", "{\"a\":NaN}", "{\"a\":1e999}"}) {
    EXPECT_THAT(ComposeMetadata(0, 0, text), FailsWith(ErrorCode::kMalformed)) << text;
    EXPECT_THAT(ParseMetadata(text), FailsWith(ErrorCode::kMalformed)) << text;
  }
}

TEST(AicoMetadataTest, TextThatIsNoUtf8IsRefused) {
  for (const char* text : {"{\"a\":\"\xff\"}", "{\"a\":\"\xc3\"}", "{\"a\":\"\xc0\xaf\"}",
                           "{\"a\":\"\xed\xa0\x80\"}", "{\"\xfe\":1}", R"({"a":"\ud800"})"}) {
    EXPECT_THAT(ComposeMetadata(0, 0, text), FailsWith(ErrorCode::kMalformed));
  }
}

TEST(AicoMetadataTest, DepthIsBounded) {
  EXPECT_OK(ComposeMetadata(0, 0, Nested(kMaxDepth)));
  EXPECT_THAT(ComposeMetadata(0, 0, Nested(kMaxDepth + 1)), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(ComposeMetadata(0, 0, Nested(2000)), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(ParseMetadata(Nested(4000)), FailsWith(ErrorCode::kMalformed));
}

TEST(AicoMetadataTest, SizeIsBounded) {
  EXPECT_OK(ComposeMetadata(0, 0, Long(kAicoMaxApplicationMetadata)));
  EXPECT_THAT(ComposeMetadata(0, 0, Long(kAicoMaxApplicationMetadata + 1)),
              FailsWith(ErrorCode::kTooLarge));
}

// Numbers can grow when they are written out again; what the peer would refuse is not sent.
TEST(AicoMetadataTest, SizeIsBoundedAsSentToo) {
  std::string text = R"({"a":[1e9)";
  while (text.size() < 4000) text += ",1e9";
  EXPECT_THAT(ComposeMetadata(0, 0, text + "]}"), FailsWith(ErrorCode::kTooLarge));
}

TEST(AicoMetadataTest, ParsedNumbersMustBeThereAndBeUnsignedIntegers) {
  for (const char* text :
       {"{}", R"({"seq":1})", R"({"epoch":1})", R"({"seq":-1,"epoch":0})",
        R"({"seq":1.0,"epoch":0})", R"({"seq":"1","epoch":0})", R"({"seq":1,"epoch":true})",
        R"({"seq":18446744073709551616,"epoch":0})", R"({"Seq":1,"epoch":0})"}) {
    EXPECT_THAT(ParseMetadata(text), FailsWith(ErrorCode::kMalformed)) << text;
  }
}

}  // namespace
}  // namespace keyward::session
