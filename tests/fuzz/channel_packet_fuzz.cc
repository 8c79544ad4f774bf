// Any packet, with or without a descriptor, is a message or an error. The first byte of the input
// chooses what comes along; then the packet, and behind its header the content of the descriptor.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <span>

#include "core/unique_fd.h"
#include "dbus/channel_packet.h"
#include "tests/fuzz/require.h"
#include "tests/support/raw_packet.h"

namespace {

using keyward::Bytes;
using keyward::ByteView;
using keyward::UniqueFd;
using keyward::channel::kHeaderSize;
using keyward::fuzz::Require;

struct Sockets {
  Sockets() {
    std::array<int, 2> ends{};
    Require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends.data()) == 0);
    sender.Reset(ends[0]);
    receiver.Reset(ends[1]);
  }
  UniqueFd sender;
  UniqueFd receiver;
};

void CheckHeader(ByteView packet) {
  const auto header = keyward::channel::DecodeHeader(packet);
  if (!header) return;
  Require(header->body_size <= keyward::channel::kMaxBody);
  std::array<uint8_t, kHeaderSize> again{};
  keyward::channel::EncodeHeader(*header, again);
  Require(std::ranges::equal(again, packet.first(kHeaderSize)));
}

void CheckError(ByteView body) {
  for (uint16_t status = 0; status < 32; ++status) {
    const keyward::Error error = keyward::channel::DecodeError(status, body);
    Require(!Name(error.code()).empty());
    const keyward::Error again = keyward::channel::DecodeError(
        static_cast<uint16_t>(error.code()), keyward::channel::EncodeError(error));
    Require(again.ToString() == error.ToString());
  }
}

UniqueFd Descriptor(uint8_t kind, ByteView content) {
  if (kind == 1) return UniqueFd(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  UniqueFd memfd(memfd_create("fuzz", MFD_CLOEXEC));
  Require(write(memfd.get(), content.data(), content.size()) ==
          static_cast<ssize_t>(content.size()));
  return memfd;
}

// kind 0: no descriptor, 1: one that is no memory file, 2: a memfd with all that follows the
// header.
void CheckReceive(uint8_t kind, ByteView input) {
  static const Sockets sockets;
  static keyward::channel::PacketReceiver receiver;
  const ByteView content = input.subspan(std::min(input.size(), kHeaderSize));
  const ByteView packet = kind == 2 ? input.first(std::min(input.size(), kHeaderSize)) : input;
  const UniqueFd fd = kind == 0 ? UniqueFd() : Descriptor(kind, content);
  const std::array attached{fd.get()};
  Require(keyward::testing_support::SendRawPacket(sockets.sender.get(), packet,
                                                  std::span(attached).first(fd ? 1 : 0)) ==
          static_cast<ssize_t>(packet.size()));
  const auto received = receiver.Receive(sockets.receiver.get());
  if (!received) return;
  Require(received->has_value());  // the packet was there
  const keyward::channel::Packet& got = **received;
  Require(got.body.size() == got.header.body_size);
  Require(std::ranges::equal(got.body, content.first(got.body.size())));
  Require(kind == 2 || (got.header.flags & keyward::channel::kBodyInMemfd) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  CheckHeader(input);
  CheckError(input);
  CheckReceive(*data % 3, input);
  return 0;
}
