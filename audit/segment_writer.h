// The segment that the log writes to: whole lines, on disk or not there at all, with disk space set
// aside for those that must not fail.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "audit/storage.h"

namespace keyward::audit {

class SegmentWriter {
 public:
  // `size` is the file's; `reserve` the bytes that SetAside keeps free.
  SegmentWriter(std::unique_ptr<SegmentFile> file, uint64_t size, uint64_t reserve);

  // Takes disk space for `room` bytes more, and the reserve after them. Errors: kResourceExhausted,
  // kNotSupported, kIo; what was set aside before still is.
  Result<void> SetAside(uint64_t room);
  // Lets `bytes` more use what is set aside, the reserve included. Errors: as SetAside.
  Result<void> DrawOnReserve(uint64_t bytes);

  // On disk, each with its newline, when it returns. After an error the file is cut off where it
  // was; where even that failed, it is cut off before the next lines. Errors: kResourceExhausted,
  // kIo.
  Result<void> WriteLines(std::string_view lines);

  // Gives back what was set aside and not used.
  Result<void> Finish();

  uint64_t size() const { return size_; }

 private:
  Result<void> WriteAll(std::string_view text);
  Result<void> Mend();

  std::unique_ptr<SegmentFile> file_;
  uint64_t size_;           // of whole lines
  uint64_t reserve_;        // bytes; 0: nothing is set aside
  uint64_t allocated_ = 0;  // bytes of the file that surely have disk space
  bool torn_ = false;       // something may follow the last whole line
};

}  // namespace keyward::audit
