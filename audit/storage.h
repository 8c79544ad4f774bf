// Where the log keeps its segments: a folder, or in tests something that fails when told to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"

namespace keyward::audit {

// Errors of all that write: kResourceExhausted (no space, quota or file size limit), kIo.

// A segment open for appending. Closed with the object, which loses nothing that was synced.
class SegmentFile {
 public:
  virtual ~SegmentFile() = default;
  // Adds at the end as many of `bytes` as go at once, and returns how many: at least one.
  virtual Result<size_t> Write(ByteView bytes) = 0;
  // What was written, or cut off, is on disk when it returns.
  virtual Result<void> Sync() = 0;
  // Cuts the file off at `size` bytes, at most those it has, and gives back what was allocated
  // beyond them.
  virtual Result<void> Truncate(uint64_t size) = 0;
  // Takes disk space for the first `end` bytes without making the file longer. Errors also:
  // kNotSupported (this filesystem cannot).
  virtual Result<void> Allocate(uint64_t end) = 0;
};

// Single-threaded.
class Storage {
 public:
  struct Entry {
    uint64_t first_seq;
    uint64_t size;  // bytes
  };

  virtual ~Storage() = default;
  // All segments, in the order of their first records.
  virtual Result<std::vector<Entry>> List() = 0;
  // Up to `size` bytes from `offset` on; fewer only at the end.
  virtual Result<std::string> Read(uint64_t first_seq, uint64_t offset, size_t size) = 0;
  // A new, empty segment, whose first record will be `first_seq`; its name is on disk. One that an
  // earlier failure left empty serves too.
  virtual Result<std::unique_ptr<SegmentFile>> Create(uint64_t first_seq) = 0;
  virtual Result<std::unique_ptr<SegmentFile>> Append(uint64_t first_seq) = 0;
  // Gone from the disk when it returns.
  virtual Result<void> Remove(uint64_t first_seq) = 0;
};

// "audit-00000000000000000001.jsonl"
std::string SegmentName(uint64_t first_seq);

}  // namespace keyward::audit
