#include "tests/support/tpm_interposer.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/encoding.h"

namespace keyward::testing_support {
namespace {

constexpr size_t kHeaderSize = 10;  // u16 tag, u32 size, u32 command or response code

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

UniqueFd NewSocket() { return UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

UniqueFd ListenOn(const std::string& path) {
  UniqueFd fd = NewSocket();
  const sockaddr_un address = AddressOf(path);
  constexpr int kBacklog = 8;
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(fd.get(), kBacklog) != 0) {
    return {};
  }
  return fd;
}

UniqueFd ConnectTo(const std::string& path) {
  UniqueFd fd = NewSocket();
  const sockaddr_un address = AddressOf(path);
  if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return {};
  }
  return fd;
}

// What is there to be read; empty at the end.
Bytes Take(int fd) {
  Bytes bytes(4096);
  const ssize_t size = read(fd, bytes.data(), bytes.size());
  bytes.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return bytes;
}

bool Give(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t size = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(size));
  }
  return true;
}

// The u32 at `at` of a header.
uint32_t Field(ByteView packet, size_t at) {
  return Reader(packet.subspan(at)).Integer<uint32_t>().value_or(0);
}

}  // namespace

Result<std::unique_ptr<TpmInterposer>> TpmInterposer::Start(const std::string& tcti) {
  std::unique_ptr<TpmInterposer> interposer(new TpmInterposer());
  KEYWARD_TRY(interposer->Listen(tcti.substr(tcti.find('=') + 1)));
  interposer->thread_ = std::thread([raw = interposer.get()] { raw->Run(); });
  return interposer;
}

Result<void> TpmInterposer::Listen(const std::string& tpm_socket) {
  tpm_socket_ = tpm_socket;
  commands_ = ListenOn(Socket());
  control_ = ListenOn(Socket() + ".ctrl");
  stop_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
  if (!commands_ || !control_ || !stop_) return Fail(ErrorCode::kIo, "no socket to be had");
  return {};
}

TpmInterposer::~TpmInterposer() {
  if (!thread_.joinable()) return;
  static_cast<void>(eventfd_write(stop_.get(), 1));  // fails only for an overflow
  thread_.join();
}

void TpmInterposer::SetHook(Hook hook) {
  const std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

void TpmInterposer::Run() {
  while (true) {
    std::vector<pollfd> events = {
        {stop_.get(), POLLIN, 0}, {commands_.get(), POLLIN, 0}, {control_.get(), POLLIN, 0}};
    const size_t first_line = events.size();
    for (const auto& line : lines_) {
      events.push_back({line->host.get(), POLLIN, 0});
      events.push_back({line->tpm.get(), POLLIN, 0});
    }
    if (poll(events.data(), events.size(), -1) < 0 || events[0].revents != 0) return;
    for (size_t i = 0; i < lines_.size(); ++i) {
      const bool whole = (events[first_line + 2 * i].revents == 0 || FromHost(*lines_[i])) &&
                         (events[first_line + 2 * i + 1].revents == 0 || FromTpm(*lines_[i]));
      if (!whole) lines_[i].reset();
    }
    std::erase(lines_, nullptr);
    if (events[1].revents != 0) Accept(commands_, false);
    if (events[2].revents != 0) Accept(control_, true);
  }
}

void TpmInterposer::Accept(const UniqueFd& listener, bool is_control) {
  UniqueFd host(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  UniqueFd tpm = ConnectTo(tpm_socket_ + (is_control ? ".ctrl" : ""));
  if (!host || !tpm) return;
  lines_.push_back(
      std::make_unique<Line>(Line{std::move(host), std::move(tpm), is_control, {}, {}}));
}

bool TpmInterposer::FromHost(Line& line) {
  const Bytes bytes = Take(line.host.get());
  Append(line.command, bytes);
  return !bytes.empty() && Give(line.tpm.get(), bytes);
}

bool TpmInterposer::FromTpm(Line& line) {
  const Bytes bytes = Take(line.tpm.get());
  if (bytes.empty()) return false;
  if (line.is_control) return Give(line.host.get(), bytes);
  Append(line.response, bytes);
  if (line.response.size() < kHeaderSize || line.response.size() < Field(line.response, 2)) {
    return true;
  }
  return Answer(line);
}

bool TpmInterposer::Answer(Line& line) {
  const std::lock_guard lock(mutex_);
  const uint32_t code = Field(line.command, 6);
  Bytes response = std::exchange(line.response, {});
  line.tpm.Reset();  // it serves one connection at a time, and the host makes one for each command
  if (hook_ && !hook_(code, response)) return false;
  return Give(line.host.get(), response);
}

}  // namespace keyward::testing_support
