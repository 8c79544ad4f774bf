// Sends what no client of Keyward's would.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstring>

#include "core/bytes.h"

namespace keyward::testing_support {

// One packet of any bytes, with the descriptor `attached` unless that is -1; as sendmsg(2) returns.
inline ssize_t SendRawPacket(int socket, ByteView packet, int attached) {
  iovec buffer{const_cast<uint8_t*>(packet.data()), packet.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  if (attached >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &attached, sizeof(int));
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL);
}

}  // namespace keyward::testing_support
