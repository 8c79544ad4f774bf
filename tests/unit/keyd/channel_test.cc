#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>
#include <span>
#include <vector>

#include "core/encoding.h"
#include "keyd/channel_server.h"
#include "tests/support/matchers.h"
#include "tests/support/raw_packet.h"

namespace keyward {
namespace {

using channel::Header;
using channel::Opcode;
using channel::Packet;
using channel::PacketReceiver;
using testing_support::FailsWith;

// Answers every request with its own body, or keeps it open.
class EchoHandler final : public ChannelHandler {
 public:
  void OnRequest(const std::shared_ptr<Channel>& channel, const Packet& packet) override {
    if (packet.header.opcode == Opcode::kSign) {
      channel->Defer(packet.header);
    } else {
      channel->Reply(packet.header, {packet.body});
    }
  }
  void OnClosed() override { closed_.set_value(); }
  std::future<void> closed() { return closed_.get_future(); }

 private:
  std::promise<void> closed_;
};

class ChannelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(server_, ChannelServer::Create(2));
    ASSERT_OK_AND_ASSIGN(auto pair, Channel::CreatePair(handler_));
    channel_ = std::move(pair.first);
    client_ = std::move(pair.second);
    // The client of these tests waits for its answers.
    ASSERT_EQ(fcntl(client_.get(), F_SETFL, 0), 0);
    ASSERT_OK(server_->Serve(channel_));
  }
  void Send(Header header, ByteView body) {
    const Result<bool> sent = channel::SendPacket(client_.get(), header, {body});
    ASSERT_OK(sent);
    ASSERT_TRUE(*sent);
  }
  // Sends requests 0, 1, ... of this body until the socket takes no more; how many it took.
  Result<uint32_t> SendUntilFull(ByteView body) {
    EXPECT_EQ(fcntl(client_.get(), F_SETFL, O_NONBLOCK), 0);
    uint32_t sent = 0;
    while (true) {
      const Header header{.opcode = Opcode::kSeal, .request_id = sent};
      KEYWARD_ASSIGN(const bool taken, channel::SendPacket(client_.get(), header, {body}));
      if (!taken) break;
      ++sent;
    }
    EXPECT_EQ(fcntl(client_.get(), F_SETFL, 0), 0);
    return sent;
  }
  Result<Packet> Receive() {
    KEYWARD_ASSIGN(const std::optional<Packet> packet, receiver_.Receive(client_.get()));
    return *packet;
  }

  std::shared_ptr<EchoHandler> handler_ = std::make_shared<EchoHandler>();
  std::unique_ptr<ChannelServer> server_;
  std::shared_ptr<Channel> channel_;
  UniqueFd client_;
  PacketReceiver receiver_;
};

TEST_F(ChannelTest, RepliesCarryTheIdOfTheirRequest) {
  for (uint32_t id = 1; id <= 40; ++id) Send({.opcode = Opcode::kSeal, .request_id = id}, Bytes{7});
  for (uint32_t id = 1; id <= 40; ++id) {
    ASSERT_OK_AND_ASSIGN(const Packet reply, Receive());
    EXPECT_EQ(reply.header.request_id, id);
    EXPECT_EQ(reply.header.status, 0);
    EXPECT_EQ(ToBytes(reply.body), Bytes{7});
  }
}

TEST_F(ChannelTest, ALargeBodyTravelsInAMemfd) {
  const Bytes large(channel::kMaxInlineBody + 1, 0x5a);
  Send({.opcode = Opcode::kSeal, .request_id = 1}, large);
  ASSERT_OK_AND_ASSIGN(const Packet reply, Receive());
  EXPECT_EQ(reply.header.flags, channel::kBodyInMemfd);
  EXPECT_EQ(ToBytes(reply.body), large);
}

TEST_F(ChannelTest, AClientThatDoesNotReadGetsEverythingInTheEnd) {
  ASSERT_OK_AND_ASSIGN(const uint32_t sent, SendUntilFull(Bytes(60'000, 1)));
  ASSERT_GT(sent, 2U);
  for (uint32_t id = 0; id < sent; ++id) {
    ASSERT_OK_AND_ASSIGN(const Packet reply, Receive());
    ASSERT_EQ(reply.header.request_id, id);
  }
}

TEST_F(ChannelTest, OneLargeReplyAtATimeWaitsForTheClient) {
  const Bytes large(channel::kMaxInlineBody + 1, 0x5a);
  ASSERT_OK_AND_ASSIGN(const uint32_t sent, SendUntilFull(large));
  ASSERT_GT(sent, 2U);
  int unread = 0;
  ASSERT_EQ(ioctl(client_.get(), FIONREAD, &unread), 0);
  EXPECT_LE(static_cast<size_t>(unread), channel::kHeaderSize);
  for (uint32_t id = 0; id < sent; ++id) {
    ASSERT_OK_AND_ASSIGN(const Packet reply, Receive());
    ASSERT_EQ(reply.header.request_id, id);
    ASSERT_EQ(reply.body.size(), large.size());
  }
}

TEST_F(ChannelTest, ClosingEndsAChannelWhoseClientDoesNotRead) {
  ASSERT_OK(SendUntilFull(Bytes(60'000, 1)));
  std::future<void> closed = handler_->closed();
  channel_->Close(Error(ErrorCode::kExpired, "the session reached its timeout"));
  EXPECT_EQ(closed.wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

TEST_F(ChannelTest, TooManyOpenRequestsAreBusy) {
  for (uint32_t id = 0; id <= channel::kMaxInFlight; ++id) {
    Send({.opcode = Opcode::kSign, .request_id = id}, {});
  }
  ASSERT_OK_AND_ASSIGN(const Packet reply, Receive());
  EXPECT_EQ(reply.header.request_id, channel::kMaxInFlight);
  const Error error = channel::DecodeError(reply.header.status, reply.body);
  EXPECT_EQ(error.code(), ErrorCode::kBusy);
  EXPECT_GT(error.retry_after_ms(), 0U);
}

TEST_F(ChannelTest, ClosingTheClientsEndIsNoticed) {
  std::future<void> closed = handler_->closed();
  client_.Reset();
  EXPECT_EQ(closed.wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

TEST_F(ChannelTest, ClosingHereTellsTheClientWhy) {
  std::future<void> closed = handler_->closed();
  channel_->Close(Error(ErrorCode::kRevoked, "the key was revoked"));
  ASSERT_OK_AND_ASSIGN(const Packet last, Receive());
  EXPECT_EQ(last.header.opcode, Opcode::kClosed);
  EXPECT_EQ(channel::DecodeError(last.header.status, last.body).code(), ErrorCode::kRevoked);
  EXPECT_THAT(Receive(), FailsWith(ErrorCode::kSessionClosed));
  EXPECT_EQ(closed.wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

TEST_F(ChannelTest, WhatIsRefusedIsNotAnsweredAndTheClientIsToldTheFirstReason) {
  channel_->Refuse(Error(ErrorCode::kRevoked, "the key was revoked"));
  EXPECT_TRUE(channel_->closed());
  Send({.opcode = Opcode::kSeal, .request_id = 1}, Bytes{1});
  ASSERT_OK_AND_ASSIGN(const Packet last, Receive());
  EXPECT_EQ(last.header.opcode, Opcode::kClosed);
  EXPECT_EQ(channel::DecodeError(last.header.status, last.body).code(), ErrorCode::kRevoked);
  EXPECT_THAT(Receive(), FailsWith(ErrorCode::kSessionClosed));
}

// Sends raw bytes, and possibly a descriptor, and expects the channel to be cut with `code`.
class BadPacketTest : public ChannelTest {
 protected:
  void ExpectCut(ByteView packet, ErrorCode code, std::span<const int> attached = {}) {
    ASSERT_GE(testing_support::SendRawPacket(client_.get(), packet, attached), 0);
    ASSERT_OK_AND_ASSIGN(const Packet last, Receive());
    EXPECT_EQ(last.header.opcode, Opcode::kClosed);
    EXPECT_EQ(channel::DecodeError(last.header.status, last.body).code(), code);
  }
  Bytes Encode(Header header) {
    Bytes packet(channel::kHeaderSize);
    channel::EncodeHeader(header, std::span<uint8_t, channel::kHeaderSize>(packet));
    return packet;
  }
};

TEST_F(BadPacketTest, TruncatedHeader) { ExpectCut(Bytes(15, 1), ErrorCode::kMalformed); }

TEST_F(BadPacketTest, UnknownVersion) {
  Bytes packet = Encode({.opcode = Opcode::kSeal});
  packet[0] = 2;
  ExpectCut(packet, ErrorCode::kMalformed);
}

TEST_F(BadPacketTest, BodyShorterThanItSays) {
  ExpectCut(Encode({.opcode = Opcode::kSeal, .body_size = 1}), ErrorCode::kMalformed);
}

TEST_F(BadPacketTest, BodyBeyondTheLimit) {
  ExpectCut(Encode({.opcode = Opcode::kSeal, .body_size = 0xffffffff}), ErrorCode::kTooLarge);
}

TEST_F(BadPacketTest, MemfdPromisedButNotSent) {
  ExpectCut(Encode({.opcode = Opcode::kSeal, .body_size = 5, .flags = channel::kBodyInMemfd}),
            ErrorCode::kMalformed);
}

TEST_F(BadPacketTest, APipeInPlaceOfAMemfdDoesNotStallTheDaemon) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  ExpectCut(Encode({.opcode = Opcode::kSeal, .body_size = 5, .flags = channel::kBodyInMemfd}),
            ErrorCode::kMalformed, std::span(ends).first(1));
  close(ends[0]);
  close(ends[1]);
}

// Whose last close would take as long as its sender has it linger: here, ten minutes.
TEST_F(BadPacketTest, ASocketThatLingersDoesNotStallTheDaemon) {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  UniqueFd lingering(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_TRUE(listener && lingering);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listener.get(), generic, size), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  ASSERT_EQ(getsockname(listener.get(), generic, &size), 0);
  ASSERT_EQ(connect(lingering.get(), generic, size), 0);
  const Bytes unread(65536);
  while (send(lingering.get(), unread.data(), unread.size(), MSG_DONTWAIT) > 0) {
  }
  const linger ten_minutes{.l_onoff = 1, .l_linger = 600};
  ASSERT_EQ(setsockopt(lingering.get(), SOL_SOCKET, SO_LINGER, &ten_minutes, sizeof(ten_minutes)),
            0);
  std::future<void> closed = handler_->closed();
  ExpectCut(Encode({.opcode = Opcode::kSeal, .body_size = 5, .flags = channel::kBodyInMemfd}),
            ErrorCode::kMalformed, std::array{lingering.get()});
  EXPECT_EQ(closed.wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

UniqueFd MakeLingering() {
  UniqueFd made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const linger ten_minutes{.l_onoff = 1, .l_linger = 600};
  EXPECT_EQ(setsockopt(made.get(), SOL_SOCKET, SO_LINGER, &ten_minutes, sizeof(ten_minutes)), 0);
  return made;
}

bool Lingers(int socket) {
  linger value{};
  socklen_t size = sizeof(value);
  EXPECT_EQ(getsockopt(socket, SOL_SOCKET, SO_LINGER, &value, &size), 0);
  return value.l_onoff != 0;
}

TEST_F(BadPacketTest, OfAsManySocketsAsOnePacketCarriesNoneLingers) {
  constexpr size_t kMostOfOneMessage = 253;
  std::vector<UniqueFd> owners(kMostOfOneMessage);
  std::ranges::generate(owners, MakeLingering);
  std::vector<int> sockets(kMostOfOneMessage);
  std::ranges::transform(owners, sockets.begin(), &UniqueFd::get);
  std::future<void> closed = handler_->closed();
  ExpectCut(Encode({.opcode = Opcode::kSeal, .body_size = 5, .flags = channel::kBodyInMemfd}),
            ErrorCode::kMalformed, sockets);
  ASSERT_EQ(closed.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  EXPECT_EQ(std::ranges::count_if(sockets, Lingers), 0);
}

TEST(PacketReceiverTest, DiscardsWhatComesAfterEmptyPackets) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd sender(ends[0]);
  const UniqueFd receiver(ends[1]);
  const UniqueFd lingering = MakeLingering();
  ASSERT_EQ(testing_support::SendRawPacket(sender.get(), {}), 0);
  ASSERT_EQ(testing_support::SendRawPacket(sender.get(), {}), 0);
  ASSERT_EQ(testing_support::SendRawPacket(sender.get(), {}, std::array{lingering.get()}), 0);
  ASSERT_EQ(shutdown(receiver.get(), SHUT_RDWR), 0);
  PacketReceiver().Discard(receiver.get());
  EXPECT_FALSE(Lingers(lingering.get()));
}

TEST_F(BadPacketTest, AMemfdShorterThanTheBody) {
  const UniqueFd memfd(memfd_create("short", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(memfd.get(), 4), 0);
  ExpectCut(Encode({.opcode = Opcode::kSeal, .body_size = 5, .flags = channel::kBodyInMemfd}),
            ErrorCode::kMalformed, std::array{memfd.get()});
}

}  // namespace
}  // namespace keyward
