#include "keyd/channel_server.h"

#include <utility>

#include "keyd/channel_worker.h"

namespace keyward {

Result<std::unique_ptr<ChannelServer>> ChannelServer::Create(size_t workers) {
  std::vector<std::unique_ptr<ChannelWorker>> made;
  made.reserve(workers);
  for (size_t i = 0; i < workers; ++i) {
    KEYWARD_ASSIGN(std::unique_ptr<ChannelWorker> worker, ChannelWorker::Create());
    made.push_back(std::move(worker));
  }
  return std::unique_ptr<ChannelServer>(new ChannelServer(std::move(made)));
}

ChannelServer::ChannelServer(std::vector<std::unique_ptr<ChannelWorker>> workers)
    : workers_(std::move(workers)) {}

ChannelServer::~ChannelServer() = default;

void ChannelServer::Stop() {
  for (const std::unique_ptr<ChannelWorker>& worker : workers_) worker->Stop();
}

Result<void> ChannelServer::Serve(const std::shared_ptr<Channel>& channel) {
  return workers_[next_++ % workers_.size()]->Add(channel);
}

}  // namespace keyward
