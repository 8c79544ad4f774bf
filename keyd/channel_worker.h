// One thread that waits for and serves its share of the channels.
#pragma once

#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "core/unique_fd.h"
#include "keyd/channel.h"

namespace keyward {

// Any thread may call.
class ChannelWorker {
 public:
  // Errors: kResourceExhausted.
  static Result<std::unique_ptr<ChannelWorker>> Create();
  ~ChannelWorker() { Stop(); }
  ChannelWorker(const ChannelWorker&) = delete;
  ChannelWorker& operator=(const ChannelWorker&) = delete;

  Result<void> Add(const std::shared_ptr<Channel>& channel);
  // Closes every channel it serves and waits for the thread. Add no more.
  void Stop();

 private:
  ChannelWorker(UniqueFd epoll, UniqueFd stop) : epoll_(std::move(epoll)), stop_(std::move(stop)) {}

  void Run();
  void Handle(int fd, uint32_t events);
  // False when the channel has ended.
  bool ServeRequests(const std::shared_ptr<Channel>& channel);
  // Has epoll wait for requests, or for room while replies wait.
  void Watch(const Channel& channel);
  void Drop(int fd);

  const UniqueFd epoll_;
  const UniqueFd stop_;  // an eventfd
  std::mutex mutex_;
  std::unordered_map<int, std::shared_ptr<Channel>> channels_;
  channel::PacketReceiver receiver_;  // the thread's own
  std::thread thread_;
};

}  // namespace keyward
