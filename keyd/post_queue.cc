#include "keyd/post_queue.h"

#include <sys/eventfd.h>

#include <cstdint>
#include <utility>

namespace keyward {

Result<std::unique_ptr<PostQueue>> PostQueue::Create() {
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return Fail(ErrorCode::kResourceExhausted, "no descriptor for the event loop");
  return std::unique_ptr<PostQueue>(new PostQueue(std::move(wake)));
}

void PostQueue::Post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
  }
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the thread is woken anyway.
  if (write(wake_.get(), &one, sizeof(one)) < 0) return;
}

void PostQueue::RunPosted() {
  uint64_t count = 0;
  if (read(wake_.get(), &count, sizeof(count)) < 0) return;  // nothing was posted
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(work_);
  }
  for (const std::function<void()>& each : work) each();
}

}  // namespace keyward
