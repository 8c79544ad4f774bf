// Sends what no client of Keyward's would.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstring>
#include <span>
#include <vector>

#include "core/bytes.h"

namespace keyward::testing_support {

// One packet of any bytes, with descriptors; as sendmsg(2) returns.
inline ssize_t SendRawPacket(int socket, ByteView packet, std::span<const int> attached = {}) {
  iovec buffer{const_cast<uint8_t*>(packet.data()), packet.size()};
  std::vector<char> control(CMSG_SPACE(attached.size_bytes()));
  msghdr message{};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  if (!attached.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(attached.size_bytes());
    std::memcpy(CMSG_DATA(header), attached.data(), attached.size_bytes());
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL);
}

}  // namespace keyward::testing_support
