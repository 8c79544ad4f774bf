#include "audit/segment_writer.h"

#include <tuple>
#include <utility>

namespace keyward::audit {
namespace {

// Taken beyond what is needed, so that not every line asks the filesystem.
constexpr uint64_t kAhead = uint64_t{64} * 1024;

}  // namespace

SegmentWriter::SegmentWriter(std::unique_ptr<SegmentFile> file, uint64_t size, uint64_t reserve)
    : file_(std::move(file)), size_(size), reserve_(reserve) {}

Result<void> SegmentWriter::SetAside(uint64_t room) {
  const uint64_t needed = size_ + room + reserve_;
  if (reserve_ == 0 || needed <= allocated_) return {};
  if (file_->Allocate(needed + kAhead)) {
    allocated_ = needed + kAhead;
    return {};
  }
  KEYWARD_TRY(file_->Allocate(needed));
  allocated_ = needed;
  return {};
}

Result<void> SegmentWriter::DrawOnReserve(uint64_t bytes) {
  if (reserve_ == 0 || size_ + bytes <= allocated_) return {};
  // After a restart `allocated_` does not tell what the file has; the filesystem does.
  KEYWARD_TRY(file_->Allocate(size_ + bytes));
  allocated_ = size_ + bytes;
  return {};
}

Result<void> SegmentWriter::WriteAll(std::string_view text) {
  ByteView rest = AsBytes(text);
  while (!rest.empty()) {
    KEYWARD_ASSIGN(const size_t put, file_->Write(rest));
    rest = rest.subspan(put);
  }
  return file_->Sync();
}

Result<void> SegmentWriter::WriteLines(std::string_view lines) {
  KEYWARD_TRY(Mend());
  Result<void> written = WriteAll(lines);
  if (written) {
    size_ += lines.size();
    return {};
  }
  torn_ = true;
  std::ignore = Mend();  // else before the next lines
  return written;
}

Result<void> SegmentWriter::Mend() {
  if (!torn_) return {};
  allocated_ = 0;  // cutting off gives back what was set aside
  KEYWARD_TRY(file_->Truncate(size_));
  KEYWARD_TRY(file_->Sync());
  torn_ = false;
  return {};
}

Result<void> SegmentWriter::Finish() {
  torn_ = true;
  return Mend();
}

}  // namespace keyward::audit
