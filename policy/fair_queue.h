// A bounded queue that no caller can fill for the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/result.h"

namespace keyward::policy {

struct FairQueueLimits {
  size_t total = 1024;           // items of all callers together
  size_t per_caller = 64;        // items of one caller
  uint32_t retry_after_ms = 50;  // what a refused caller is told
};

// First in, first out for each caller (a uid); round robin between callers, so that one with a
// thousand items waiting delays another's first by one item. Push and Pop take constant time.
// A single-threaded value: whoever shares it holds a lock.
template <class Item>
class FairQueue {
 public:
  explicit FairQueue(FairQueueLimits limits) : limits_(limits) {}

  // Errors: kBusy with a time to retry after, when the caller's share or the whole is used up;
  // `item` is then left as it was.
  Result<void> Push(uint32_t caller, Item&& item) {
    const auto line = lines_.find(caller);
    const size_t waiting = line == lines_.end() ? 0 : line->second.size();
    if (waiting >= limits_.per_caller) return Refuse("the caller has too many requests waiting");
    if (size_ >= limits_.total) return Refuse("too many requests are waiting");
    if (waiting == 0) turns_.push_back(caller);
    lines_[caller].push_back(std::move(item));
    ++size_;
    return {};
  }

  // The next item; nothing when the queue is empty.
  std::optional<Item> Pop() {
    if (turns_.empty()) return std::nullopt;
    const uint32_t caller = turns_.front();
    turns_.pop_front();
    const auto line = lines_.find(caller);
    std::optional<Item> item = std::move(line->second.front());
    line->second.pop_front();
    --size_;
    if (line->second.empty()) {
      lines_.erase(line);
    } else {
      turns_.push_back(caller);
    }
    return item;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::unexpected<Error> Refuse(const char* why) const {
    return Fail(Error(ErrorCode::kBusy, why).WithRetryAfter(limits_.retry_after_ms));
  }

  FairQueueLimits limits_;
  size_t size_ = 0;
  std::unordered_map<uint32_t, std::deque<Item>> lines_;  // never holds an empty line
  std::deque<uint32_t> turns_;                            // each caller of lines_, once
};

}  // namespace keyward::policy
