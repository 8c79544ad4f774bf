// The worker threads that serve the channels: one per core.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "keyd/channel.h"

namespace keyward {

class ChannelWorker;

// Any thread may call.
class ChannelServer {
 public:
  // Errors: kResourceExhausted.
  static Result<std::unique_ptr<ChannelServer>> Create(size_t workers);
  ~ChannelServer();

  // Serves `channel` until its end. Errors: kResourceExhausted.
  Result<void> Serve(const std::shared_ptr<Channel>& channel);

  // Ends every channel and waits for the workers; no handler is called after. Serve no more.
  void Stop();

 private:
  explicit ChannelServer(std::vector<std::unique_ptr<ChannelWorker>> workers);

  std::vector<std::unique_ptr<ChannelWorker>> workers_;
  std::atomic<size_t> next_ = 0;
};

}  // namespace keyward
