#include "examples/module/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace keyward::example {
namespace {

std::unexpected<Error> Failed(const std::string& what) {
  return Fail(ErrorCode::kIo, what + ": " + std::strerror(errno));
}

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorCode::kInvalidArgument, "the socket's path is too long");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace

Result<UniqueFd> AcceptOne(const std::string& path) {
  KEYWARD_ASSIGN(const sockaddr_un address, AddressOf(path));
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener ||
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(path.c_str(), 0666) != 0 || listen(listener.get(), 1) != 0) {
    return Failed("listening at " + path);
  }
  UniqueFd connection(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (unlink(path.c_str()) != 0 || !connection) return Failed("accepting at " + path);
  return connection;
}

Result<UniqueFd> ConnectTo(const std::string& path) {
  KEYWARD_ASSIGN(const sockaddr_un address, AddressOf(path));
  UniqueFd connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection || connect(connection.get(), reinterpret_cast<const sockaddr*>(&address),
                             sizeof(address)) != 0) {
    return Failed("connecting to " + path);
  }
  return connection;
}

}  // namespace keyward::example
