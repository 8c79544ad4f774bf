#include "dbus/arguments.h"

#include <gmock/gmock.h>

#include <numeric>

#if !KEYWARD_SDBUS_2
namespace sdbus {
PlainMessage createPlainMessage();  // exported, but no header declares it
}
#endif

namespace keyward::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

template <class... Values>
sdbus::PlainMessage MessageWith(const Values&... values) {
  sdbus::PlainMessage message = sdbus::createPlainMessage();
  static_cast<void>((message << ... << values));
  message.seal();
  return message;
}

std::map<std::string, sdbus::Variant> Numbers(size_t count) {
  std::map<std::string, sdbus::Variant> numbers;
  for (size_t i = 0; i < count; ++i) {
    numbers.emplace("option" + std::to_string(i), sdbus::Variant(uint32_t{1}));
  }
  return numbers;
}

// The name of the error that reading a `Value` throws.
template <class Value>
std::string Refusal(sdbus::Message& message) {
  Value value;
  try {
    message >> value;
  } catch (const sdbus::Error& error) {
    return error.getName();
  }
  return "none";
}

TEST(ByteArrayTest, ReadsWhatIsWithinTheLimitAndWhatFollows) {
  Bytes sent(kMaxByteArray);
  std::iota(sent.begin(), sent.end(), uint8_t{0});
  sdbus::PlainMessage message = MessageWith(sent, std::string("metadata"), Bytes{});
  ByteArray first;
  std::string text;
  ByteArray last;
  message >> first >> text >> last;
  EXPECT_EQ(first.bytes, sent);
  EXPECT_EQ(text, "metadata");
  EXPECT_THAT(last.bytes, IsEmpty());
}

TEST(ByteArrayTest, StopsReadingAtTheLimit) {
  sdbus::PlainMessage message = MessageWith(Bytes(kMaxByteArray + 2));
  EXPECT_THAT(Refusal<ByteArray>(message), HasSubstr("TooLarge"));
  uint8_t byte = 1;
  EXPECT_TRUE(message >> byte);  // the last one is still there
  EXPECT_FALSE(message >> byte);
}

TEST(OptionsTest, ReadsNumbersByName) {
  sdbus::PlainMessage message = MessageWith(Numbers(2), uint32_t{7});
  Options options;
  uint32_t next = 0;
  message >> options >> next;
  EXPECT_THAT(options.values, ElementsAre(Pair("option0", 1), Pair("option1", 1)));
  EXPECT_EQ(next, 7U);
}

TEST(OptionsTest, StopsReadingAtTheLimit) {
  sdbus::PlainMessage most = MessageWith(Numbers(kMaxOptions));
  EXPECT_EQ(Refusal<Options>(most), "none");
  sdbus::PlainMessage more = MessageWith(Numbers(kMaxOptions + 2));
  EXPECT_THAT(Refusal<Options>(more), HasSubstr("TooLarge"));
}

TEST(OptionsTest, LeavesAValueThatIsNoNumberUnread) {
  sdbus::PlainMessage message =
      MessageWith(std::map<std::string, sdbus::Variant>{{"timeout", sdbus::Variant(Bytes(9))}});
  EXPECT_THAT(Refusal<Options>(message), HasSubstr("InvalidArgument"));
  message.enterVariant("ay");  // throws if the reader has gone past it
  Bytes value;
  message >> value;
  EXPECT_EQ(value.size(), 9U);
}

}  // namespace
}  // namespace keyward::bus
