// Work for the bus thread from other threads, and the descriptor that wakes it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/result.h"
#include "core/unique_fd.h"

namespace keyward {

class PostQueue {
 public:
  // Errors: kResourceExhausted.
  static Result<std::unique_ptr<PostQueue>> Create();

  // Any thread.
  void Post(std::function<void()> work);
  // The bus thread: runs what was posted up to now.
  void RunPosted();
  // Readable when something was posted.
  int fd() const { return wake_.get(); }

 private:
  explicit PostQueue(UniqueFd wake) : wake_(std::move(wake)) {}

  const UniqueFd wake_;  // an eventfd
  std::mutex mutex_;
  std::vector<std::function<void()>> work_;
};

}  // namespace keyward
