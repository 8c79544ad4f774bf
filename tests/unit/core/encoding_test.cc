#include "core/encoding.h"

#include "tests/support/matchers.h"

namespace keyward {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

TEST(EncodingTest, ReaderReadsWhatWriterWrote) {
  const Bytes bytes = Writer()
                          .Integer<uint8_t>(7)
                          .Integer<uint64_t>(0x0102030405060708)
                          .Field<uint16_t>(AsBytes("field"))
                          .Take();
  Reader reader(bytes);
  EXPECT_THAT(reader.Integer<uint8_t>(), IsOkAndHolds(7));
  EXPECT_THAT(reader.Integer<uint64_t>(), IsOkAndHolds(0x0102030405060708U));
  ASSERT_OK_AND_ASSIGN(const ByteView field, reader.Field<uint16_t>());
  EXPECT_EQ(AsText(field), "field");
  EXPECT_OK(reader.End());
}

TEST(EncodingTest, TruncatedFieldFailsAndKeepsThePosition) {
  const Bytes bytes = {0, 5, 'a', 'b'};
  Reader reader(bytes);
  EXPECT_THAT(reader.Field<uint16_t>(), FailsWith(ErrorCode::kMalformed));
  EXPECT_EQ(reader.Rest().size(), bytes.size());
}

TEST(EncodingTest, TrailingBytesAreRefused) {
  const Bytes bytes = {1};
  EXPECT_THAT(Reader(bytes).End(), FailsWith(ErrorCode::kMalformed));
}

TEST(EncodingTest, HexRoundTripsAndRefusesNonsense) {
  EXPECT_EQ(ToHex(Bytes{0x00, 0xaf}), "00af");
  EXPECT_THAT(FromHex("00AF"), IsOkAndHolds(Bytes{0x00, 0xaf}));
  EXPECT_THAT(FromHex("0"), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(FromHex("0g"), FailsWith(ErrorCode::kMalformed));
}

}  // namespace
}  // namespace keyward
