#include "examples/module/socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace keyward::example {
namespace {

std::unexpected<Error> SocketError(const char* what) {
  const int error = errno;
  if (error == ENOENT || error == ECONNREFUSED) {
    return Fail(ErrorCode::kUnreachable, "nobody listens on the socket");
  }
  return Fail(ErrorCode::kIo, std::string(what) + ": " + std::strerror(error));
}

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorCode::kInvalidArgument, "the socket's path must have 1 to 107 bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// As the socket calls want it.
const sockaddr* Generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

Result<UniqueFd> Listen(const std::string& path) {
  KEYWARD_ASSIGN(const sockaddr_un address, AddressOf(path));
  UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener) return SocketError("socket");
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return SocketError("unlink");
  if (bind(listener.get(), Generic(address), sizeof(address)) != 0) return SocketError("bind");
  if (chmod(path.c_str(), 0666) != 0) return SocketError("chmod");
  if (listen(listener.get(), 1) != 0) return SocketError("listen");
  return listener;
}

Result<UniqueFd> Accept(int listener) {
  UniqueFd connection(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) return SocketError("accept");
  return connection;
}

Result<UniqueFd> Connect(const std::string& path) {
  KEYWARD_ASSIGN(const sockaddr_un address, AddressOf(path));
  UniqueFd connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection) return SocketError("socket");
  if (connect(connection.get(), Generic(address), sizeof(address)) != 0) {
    return SocketError("connect");
  }
  return connection;
}

}  // namespace keyward::example
