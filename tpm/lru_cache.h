// A few values, of which the least recently used one goes first.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "tpm/digest.h"

namespace keyward::tpm {

// For small capacities: finding is linear. Pointers hold until the next call.
template <class Value>
class LruCache {
 public:
  explicit LruCache(size_t capacity) : capacity_(capacity) {}

  // Null when there is none.
  Value* Find(const Digest& key) {
    const auto found = Locate(key);
    if (found == entries_.end()) return nullptr;
    std::rotate(found, std::next(found), entries_.end());
    return &entries_.back().second;
  }
  Value& Put(const Digest& key, Value value) {
    Erase(key);
    MakeRoom();
    return entries_.emplace_back(key, std::move(value)).second;
  }
  // Lets the least recently used go until there is room for one more.
  void MakeRoom() {
    while (entries_.size() >= capacity_) entries_.erase(entries_.begin());
  }
  void Erase(const Digest& key) {
    const auto found = Locate(key);
    if (found != entries_.end()) entries_.erase(found);
  }
  template <class Function>
  void ForEach(Function function) {
    for (auto& [key, value] : entries_) function(value);
  }

 private:
  using Entry = std::pair<Digest, Value>;

  typename std::vector<Entry>::iterator Locate(const Digest& key) {
    return std::ranges::find(entries_, key, &Entry::first);
  }

  size_t capacity_;
  std::vector<Entry> entries_;  // the most recently used last
};

}  // namespace keyward::tpm
