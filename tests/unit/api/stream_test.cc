#include "api/stream.h"

#include <sys/socket.h>

#include <array>
#include <thread>

#include "tests/support/matchers.h"

namespace keyward {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

Deadline Soon() { return Deadline(std::chrono::seconds(10)); }

class StreamTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{-1, -1};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    other_ = UniqueFd(ends[1]);
    Result<SocketStream> stream = SocketStream::Create(UniqueFd(ends[0]));
    ASSERT_OK(stream);
    stream_ = std::make_unique<SocketStream>(std::move(*stream));
  }

  void PeerSends(ByteView bytes) {
    ASSERT_EQ(send(other_.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }

  std::unique_ptr<SocketStream> stream_;
  UniqueFd other_;
};

TEST_F(StreamTest, AMessageIsItsLengthAndItsBytes) {
  ASSERT_OK(WriteMessage(*stream_, AsBytes("abc"), Soon()));
  Bytes seen(16);
  const ssize_t got = recv(other_.get(), seen.data(), seen.size(), 0);
  ASSERT_GT(got, 0);
  seen.resize(static_cast<size_t>(got));
  EXPECT_EQ(seen, (Bytes{0, 0, 0, 3, 'a', 'b', 'c'}));
}

TEST_F(StreamTest, ReadsAMessageThatArrivesInPieces) {
  PeerSends(Bytes{0, 0});
  std::jthread rest([this] { PeerSends(Bytes{0, 3, 'a', 'b', 'c', 0, 0, 0, 0}); });
  EXPECT_THAT(ReadMessage(*stream_, Soon()), IsOkAndHolds(ToBytes(AsBytes("abc"))));
  EXPECT_THAT(ReadMessage(*stream_, Soon()), IsOkAndHolds(Bytes()));
}

TEST_F(StreamTest, CarriesMoreThanTheSocketHolds) {
  const Bytes large(size_t{2} << 20, 0x77);
  Result<SocketStream> peer = SocketStream::Create(std::move(other_));
  ASSERT_OK(peer);
  std::jthread writer([&] { EXPECT_OK(WriteMessage(*peer, large, Soon())); });
  EXPECT_THAT(ReadMessage(*stream_, Soon()), IsOkAndHolds(large));
}

TEST_F(StreamTest, RefusesALengthOverTheLimitBeforeItReadsOn) {
  PeerSends(Bytes{0xff, 0xff, 0xff, 0xff});
  EXPECT_THAT(ReadMessage(*stream_, Soon()), FailsWith(ErrorCode::kTooLarge));
}

TEST_F(StreamTest, HoldsToALimitOfTheCaller) {
  PeerSends(Bytes{0, 0, 0, 5, 1, 2, 3, 4, 5});
  EXPECT_THAT(ReadMessage(*stream_, Soon(), 4), FailsWith(ErrorCode::kTooLarge));
}

TEST_F(StreamTest, RefusesToWriteOverTheLimit) {
  EXPECT_THAT(WriteMessage(*stream_, Bytes(kMaxMessage + 1), Soon()),
              FailsWith(ErrorCode::kTooLarge));
}

TEST_F(StreamTest, APeerThatGoesInTheMiddleOfAMessageIsAnError) {
  PeerSends(Bytes{0, 0, 0, 9, 1});
  other_.Reset();
  EXPECT_THAT(ReadMessage(*stream_, Soon()), FailsWith(ErrorCode::kSessionClosed));
}

TEST_F(StreamTest, WritingToAPeerThatIsGoneIsAnError) {
  other_.Reset();
  EXPECT_THAT(WriteMessage(*stream_, AsBytes("abc"), Soon()), FailsWith(ErrorCode::kSessionClosed));
}

TEST_F(StreamTest, ASilentPeerRunsIntoTheDeadline) {
  EXPECT_THAT(ReadMessage(*stream_, Deadline(std::chrono::milliseconds(10))),
              FailsWith(ErrorCode::kUnreachable));
}

TEST(SocketStreamTest, RefusesWhatIsNoDescriptor) {
  EXPECT_THAT(SocketStream::Create(UniqueFd()), FailsWith(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace keyward
