#include "audit/line_splitter.h"

#include <algorithm>

#include "audit/record.h"

namespace keyward::audit {

void LineSplitter::Keep(std::string_view piece) {
  unfinished_ += piece.size();
  line_.append(piece.substr(0, kMaxLine - line_.size()));
}

void LineSplitter::Push(std::string_view chunk) {
  while (true) {
    const size_t end = chunk.find('\n');
    if (end == std::string_view::npos) return Keep(chunk);
    if (line_.empty()) {
      take_(chunk.substr(0, std::min(end, kMaxLine)));
    } else {
      Keep(chunk.substr(0, end));
      take_(line_);
    }
    line_.clear();
    unfinished_ = 0;
    chunk.remove_prefix(end + 1);
  }
}

}  // namespace keyward::audit
