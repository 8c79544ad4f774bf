#include "api/channel_client.h"

#include <algorithm>
#include <future>
#include <string>

#include "tests/unit/api/fake_keyd_channel.h"

namespace keyward {
namespace {

using channel::Opcode;
using ::testing::ElementsAreArray;
using testing_support::Answer;
using testing_support::AnswerError;
using testing_support::FailsWith;
using testing_support::FakeKeydChannel;
using testing_support::NextRequest;
using testing_support::Request;
using testing_support::SendClosed;

Deadline Soon() { return Deadline(std::chrono::seconds(10)); }

void Echo(int socket) {
  while (const std::optional<Request> request = NextRequest(socket)) {
    Answer(socket, request->header, request->body);
  }
}

std::vector<ByteView> Views(const std::vector<Bytes>& items) {
  return {items.begin(), items.end()};
}

TEST(ChannelClientTest, GivesTheBodyOfTheReply) {
  FakeKeydChannel keyd(Echo);
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  ASSERT_OK_AND_ASSIGN(const Bytes body,
                       client.Call(Opcode::kSeal, AsBytes("pre"), AsBytes("fix"), Soon()));
  EXPECT_EQ(AsText(body), "prefix");
}

TEST(ChannelClientTest, CarriesABodyTooLongForAPacket) {
  FakeKeydChannel keyd(Echo);
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  const Bytes large(channel::kMaxInlineBody * 3, 0x5a);
  ASSERT_OK_AND_ASSIGN(const Bytes body, client.Call(Opcode::kSeal, {}, large, Soon()));
  EXPECT_EQ(body, large);
}

TEST(ChannelClientTest, MatchesRepliesThatComeInAnotherOrder) {
  FakeKeydChannel keyd([](int socket) {
    std::vector<Request> requests;
    while (requests.size() < 3) requests.push_back(NextRequest(socket).value());
    std::ranges::reverse(requests);
    for (const Request& request : requests) Answer(socket, request.header, request.body);
  });
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  const std::vector<Bytes> items{{1}, {2}, {3}};
  ASSERT_OK_AND_ASSIGN(const std::vector<Bytes> replies,
                       client.CallMany(Opcode::kSign, {}, Views(items), Soon()));
  EXPECT_THAT(replies, ElementsAreArray(items));
}

TEST(ChannelClientTest, HasNoMoreInFlightThanTheProtocolAllows) {
  constexpr size_t kCount = channel::kMaxInFlight * 2 + 1;
  size_t beyond = 0;
  FakeKeydChannel keyd([&beyond](int socket) {
    std::vector<Request> waiting;
    while (waiting.size() < channel::kMaxInFlight) waiting.push_back(NextRequest(socket).value());
    std::array<uint8_t, 1> probe{};
    if (recv(socket, probe.data(), probe.size(), MSG_PEEK | MSG_DONTWAIT) >= 0) ++beyond;
    for (const Request& request : waiting) Answer(socket, request.header, request.body);
    Echo(socket);
  });
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  std::vector<Bytes> items(kCount);
  for (size_t i = 0; i < kCount; ++i) items[i] = {static_cast<uint8_t>(i)};
  ASSERT_OK_AND_ASSIGN(const std::vector<Bytes> replies,
                       client.CallMany(Opcode::kSign, {}, Views(items), Soon()));
  EXPECT_THAT(replies, ElementsAreArray(items));
  client.Close();
  keyd.WaitUntilServed();
  EXPECT_EQ(beyond, 0U);
}

TEST(ChannelClientTest, PassesOnAnErrorAndGoesOn) {
  FakeKeydChannel keyd([](int socket) {
    const Request request = NextRequest(socket).value();
    AnswerError(socket, request.header,
                Error(ErrorCode::kBusy, "full").WithRetryAfter(250).WithAction(Action::kRetry));
    Echo(socket);
  });
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  const Result<Bytes> refused = client.Call(Opcode::kSign, {}, {}, Soon());
  ASSERT_THAT(refused, FailsWith(ErrorCode::kBusy));
  EXPECT_EQ(refused.error().message(), "full");
  EXPECT_EQ(refused.error().retry_after_ms(), 250U);
  EXPECT_EQ(refused.error().action(), Action::kRetry);
  EXPECT_OK(client.Call(Opcode::kSign, {}, {}, Soon()));
}

TEST(ChannelClientTest, AnErrorInABatchEndsItAndLeavesTheChannelInStep) {
  FakeKeydChannel keyd([](int socket) {
    while (const std::optional<Request> request = NextRequest(socket)) {
      if (request->body == Bytes{2}) {
        AnswerError(socket, request->header, {ErrorCode::kReplayed, "seen"});
      } else {
        Answer(socket, request->header, request->body);
      }
    }
  });
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  const std::vector<Bytes> items{{1}, {2}, {3}};
  EXPECT_THAT(client.CallMany(Opcode::kOpen, {}, Views(items), Soon()),
              FailsWith(ErrorCode::kReplayed));
  EXPECT_THAT(client.Call(Opcode::kOpen, {}, items[2], Soon()),
              testing_support::IsOkAndHolds(items[2]));
}

TEST(ChannelClientTest, TellsWhyKeydEndedTheSession) {
  FakeKeydChannel keyd([](int socket) {
    NextRequest(socket);
    SendClosed(socket, {ErrorCode::kRevoked, "the key was revoked"});
  });
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  const Result<Bytes> ended = client.Call(Opcode::kSeal, {}, {}, Soon());
  ASSERT_THAT(ended, FailsWith(ErrorCode::kRevoked));
  EXPECT_EQ(ended.error().message(), "the key was revoked");
  EXPECT_THAT(client.Call(Opcode::kSeal, {}, {}, Soon()), FailsWith(ErrorCode::kRevoked));
  EXPECT_EQ(client.descriptor(), -1);
}

TEST(ChannelClientTest, FindsTheReasonThoughTheRequestCouldNotBeSent) {
  FakeKeydChannel keyd(
      [](int socket) { SendClosed(socket, {ErrorCode::kExpired, "its time is over"}); });
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  keyd.WaitUntilServed();
  EXPECT_THAT(client.Call(Opcode::kSeal, {}, {}, Soon()), FailsWith(ErrorCode::kExpired));
}

TEST(ChannelClientTest, FindsTheReasonThoughKeydLeftRequestsUnread) {
  std::promise<void> requested;
  FakeKeydChannel keyd([asked = requested.get_future().share()](int socket) {
    asked.wait();
    SendClosed(socket, {ErrorCode::kExpired, "its time is over"});
  });
  const UniqueFd client_end = keyd.TakeClientEnd();
  EXPECT_OK(channel::SendPacket(client_end.get(), {.opcode = Opcode::kSeal}, {}));
  ASSERT_OK_AND_ASSIGN(ChannelClient client,
                       ChannelClient::Create(UniqueFd(dup(client_end.get()))));
  requested.set_value();
  keyd.WaitUntilServed();
  EXPECT_THAT(client.CheckOpen(), FailsWith(ErrorCode::kExpired));
}

TEST(ChannelClientTest, NoticesTheEndBetweenCalls) {
  FakeKeydChannel keyd([](int socket) {
    NextRequest(socket);
    SendClosed(socket, {ErrorCode::kSessionClosed, "ended by an administrator"});
  });
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  EXPECT_OK(client.CheckOpen());
  EXPECT_OK(channel::SendPacket(client.descriptor(), {.opcode = Opcode::kRekey}, {}));
  keyd.WaitUntilServed();
  const Result<void> ended = client.CheckOpen();
  ASSERT_THAT(ended, FailsWith(ErrorCode::kSessionClosed));
  EXPECT_EQ(ended.error().message(), "ended by an administrator");
}

TEST(ChannelClientTest, AKeydThatDiesEndsTheSession) {
  FakeKeydChannel keyd([](int socket) { NextRequest(socket); });
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  EXPECT_THAT(client.Call(Opcode::kSeal, {}, {}, Soon()), FailsWith(ErrorCode::kSessionClosed));
}

TEST(ChannelClientTest, ARequestWithoutAnAnswerInTimeClosesTheChannel) {
  FakeKeydChannel keyd([](int socket) {
    NextRequest(socket);
    EXPECT_EQ(NextRequest(socket), std::nullopt);  // returns when the client has closed
  });
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  EXPECT_THAT(client.Call(Opcode::kSeal, {}, {}, Deadline(std::chrono::milliseconds(20))),
              FailsWith(ErrorCode::kUnreachable));
  EXPECT_THAT(client.CheckOpen(), FailsWith(ErrorCode::kUnreachable));
  keyd.WaitUntilServed();
}

TEST(ChannelClientTest, RefusesAReplyToNoRequestOfItsOwn) {
  FakeKeydChannel keyd([](int socket) {
    Request request = NextRequest(socket).value();
    request.header.request_id += 1;
    Answer(socket, request.header, {});
  });
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  EXPECT_THAT(client.Call(Opcode::kSeal, {}, {}, Soon()), FailsWith(ErrorCode::kMalformed));
}

TEST(ChannelClientTest, AMessageOverTheLimitIsRefusedAndTheSessionLives) {
  FakeKeydChannel keyd(Echo);
  ASSERT_OK_AND_ASSIGN(ChannelClient client, ChannelClient::Create(keyd.TakeClientEnd()));
  EXPECT_THAT(client.Call(Opcode::kSeal, {}, Bytes(channel::kMaxBody + 1), Soon()),
              FailsWith(ErrorCode::kTooLarge));
  EXPECT_OK(client.Call(Opcode::kSeal, {}, {}, Soon()));
}

TEST(ChannelClientTest, RefusesWhatIsNoDescriptor) {
  EXPECT_THAT(ChannelClient::Create(UniqueFd()), FailsWith(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace keyward
