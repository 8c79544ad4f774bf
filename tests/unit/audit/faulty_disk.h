// A disk in memory that fails, fills up and loses power when it is told to.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "audit/storage.h"

namespace keyward::testing_support {

// Outlives every storage on it. What was not synced is lost with the power, but for as much of it
// as a test says.
class FaultyDisk {
 public:
  enum class Fault : uint8_t {
    kIo,         // this operation fails
    kNoSpace,    // the same, for want of space
    kHalfWrite,  // a write takes half of its bytes, and the next one fails
    kPowerCut,   // this operation and all after it fail, until Restart
  };

  std::unique_ptr<audit::Storage> Open();

  // The operation after `count` more meets `fault`.
  void FailAfter(size_t count, Fault fault);
  void FailNoMore() { fault_.reset(); }
  size_t operations() const { return operations_; }  // that change something, so far
  bool fault_is_pending() const { return fault_.has_value(); }

  // Bytes of all files together, and of what is allocated beyond them.
  void SetCapacity(uint64_t bytes) { capacity_ = bytes; }
  uint64_t Used() const;

  // After a power cut. Of what was written and not synced, `kept` bytes of each file stay.
  void Restart(size_t kept);

  // All segments, one after the other.
  std::string Contents() const;
  std::string& Segment(uint64_t first_seq) { return files_.at(first_seq).contents; }
  size_t segments() const { return files_.size(); }

 private:
  friend class FaultyFile;
  friend class FaultyStorage;
  struct File {
    std::string contents;
    std::string synced;
    uint64_t allocated = 0;
  };

  // Counts an operation, and fails when it is its turn.
  Result<void> Operate();
  bool TakeHalf();

  std::map<uint64_t, File> files_;
  std::optional<Fault> fault_;
  size_t until_fault_ = 0;
  size_t operations_ = 0;
  bool power_ = true;
  uint64_t capacity_ = UINT64_MAX;
};

}  // namespace keyward::testing_support
