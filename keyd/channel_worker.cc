#include "keyd/channel_worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include "core/vector_registers.h"

namespace keyward {
namespace {

// Then the other channels have their turn.
constexpr int kPacketsPerTurn = 32;
constexpr size_t kBytesPerTurn = size_t{1} << 20;

std::unexpected<Error> NoDescriptors() {
  return Fail(ErrorCode::kResourceExhausted, "keyd has no more descriptors for channels");
}

}  // namespace

Result<std::unique_ptr<ChannelWorker>> ChannelWorker::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !stop) return NoDescriptors();
  epoll_event event{.events = EPOLLIN, .data = {.fd = stop.get()}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, stop.get(), &event) != 0) return NoDescriptors();
  std::unique_ptr<ChannelWorker> worker(new ChannelWorker(std::move(epoll), std::move(stop)));
  worker->thread_ = std::thread([raw = worker.get()] { raw->Run(); });
  return worker;
}

void ChannelWorker::Stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  // An eventfd that counts to one is never full, so this cannot fail.
  if (write(stop_.get(), &one, sizeof(one)) != sizeof(one)) std::terminate();
  thread_.join();
  std::unordered_map<int, std::shared_ptr<Channel>> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(channels_);
  }
  for (const auto& [fd, channel] : left) {
    channel->Close(Error(ErrorCode::kSessionClosed, "keyd is shutting down"));
    channel->handler().OnClosed();
  }
}

Result<void> ChannelWorker::Add(const std::shared_ptr<Channel>& channel) {
  const int fd = channel->fd();
  std::weak_ptr<Channel> weak = channel;
  channel->OnBacklog([this, weak] {
    if (const std::shared_ptr<Channel> waiting = weak.lock()) Watch(*waiting);
  });
  {
    const std::lock_guard lock(mutex_);
    channels_[fd] = channel;
  }
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    const std::lock_guard lock(mutex_);
    channels_.erase(fd);
    return NoDescriptors();
  }
  return {};
}

void ChannelWorker::Run() {
  std::array<epoll_event, 64> events{};
  while (true) {
    ClearVectorRegisters();
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events.at(static_cast<size_t>(i));
      if (event.data.fd == stop_.get()) return;
      Handle(event.data.fd, event.events);
    }
  }
}

void ChannelWorker::Handle(int fd, uint32_t events) {
  std::shared_ptr<Channel> channel;
  {
    const std::lock_guard lock(mutex_);
    const auto found = channels_.find(fd);
    if (found == channels_.end()) return;
    channel = found->second;
  }
  if ((events & EPOLLOUT) != 0) {
    if (!channel->FlushBacklog()) return Drop(fd);
    // While replies wait, epoll goes on to tell of every packet that the client takes.
    if (!channel->HasBacklog()) Watch(*channel);
  }
  // Nobody is left to take what waits.
  const bool gone = (events & (EPOLLHUP | EPOLLERR)) != 0 && channel->HasBacklog();
  if (gone || ((events & ~EPOLLOUT) != 0 && !ServeRequests(channel))) Drop(fd);
}

bool ChannelWorker::ServeRequests(const std::shared_ptr<Channel>& channel) {
  size_t served = 0;
  for (int i = 0; i < kPacketsPerTurn && served < kBytesPerTurn; ++i) {
    if (channel->closed()) return false;
    if (channel->HasBacklog()) return true;  // Watch has told epoll what to wait for
    const Result<std::optional<channel::Packet>> packet = receiver_.Receive(channel->fd());
    if (!packet) {
      // Whoever sends nonsense is told, and the handle is gone: its state can no longer be trusted.
      if (packet.error().code() != ErrorCode::kSessionClosed) channel->Close(packet.error());
      return false;
    }
    if (!*packet) return true;
    served += (*packet)->body.size();
    channel->handler().OnRequest(channel, **packet);
  }
  return true;
}

void ChannelWorker::Watch(const Channel& channel) {
  // Under the lock, so that of two threads the later one arms what is true by then.
  const std::lock_guard lock(mutex_);
  // Edges, because a socket can have room while a large reply waits for an earlier one to be taken.
  const uint32_t events = channel.HasBacklog() ? EPOLLOUT | EPOLLET : EPOLLIN;
  epoll_event event{.events = events, .data = {.fd = channel.fd()}};
  // Fails only for a channel that is being dropped.
  static_cast<void>(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, channel.fd(), &event));
}

void ChannelWorker::Drop(int fd) {
  std::shared_ptr<Channel> channel;
  {
    const std::lock_guard lock(mutex_);
    const auto found = channels_.find(fd);
    channel = std::move(found->second);
    channels_.erase(found);
  }
  static_cast<void>(epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr));
  channel->Close(Error(ErrorCode::kSessionClosed, "the channel is closed"));
  receiver_.Discard(fd);
  channel->handler().OnClosed();
}

}  // namespace keyward
