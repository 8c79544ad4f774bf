// Lines out of chunks of any size, with bounds.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace keyward::audit {

// A line of kMaxLine bytes or more comes out as its first kMaxLine bytes, once; the rest of it is
// skipped.
class LineSplitter {
 public:
  // Gets a line without its newline.
  using Take = std::function<void(std::string_view line)>;

  explicit LineSplitter(Take take) : take_(std::move(take)) {}

  void Push(std::string_view chunk);
  // How many bytes follow the last newline.
  uint64_t unfinished() const { return unfinished_; }

 private:
  void Keep(std::string_view piece);

  Take take_;
  std::string line_;
  uint64_t unfinished_ = 0;
};

}  // namespace keyward::audit
