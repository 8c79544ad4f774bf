// The audit log for admins to read: whole files of it, and what is written from now on.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "core/unique_fd.h"
#include "keyd/audit_trail.h"

namespace keyward {

struct AuditSegment {
  UniqueFd file;   // to be read only
  uint64_t first;  // its first record
  uint64_t size;   // bytes of whole records in it by now
  uint64_t next;   // first record of the segment after it; 0: there is none yet
};

struct AuditStream {
  UniqueFd lines;  // a pipe; ends when the log closes, or its reader falls behind
  uint64_t first;  // the record that comes first
};

// Belongs to the bus thread. Each reading is itself recorded before it begins. Errors of both:
// kSealed, those of AuditTrail::Record.
class AuditReaders {
 public:
  static constexpr size_t kMaxStreams = 8;

  // Takes what the trail tells. `state_directory`: where the log lies. The trail outlives it.
  AuditReaders(AuditTrail& trail, const std::filesystem::path& state_directory);
  ~AuditReaders();
  AuditReaders(const AuditReaders&) = delete;
  AuditReaders& operator=(const AuditReaders&) = delete;

  // The segment that has `record`, or the oldest where that is removed. Errors: kIo.
  Result<AuditSegment> Read(uint64_t record, uint32_t caller);
  // Errors: kResourceExhausted (kMaxStreams are open, or no descriptors).
  Result<AuditStream> Follow(uint32_t caller);

 private:
  void Pass(std::string_view line);
  void DropLost();

  AuditTrail& trail_;
  const std::filesystem::path folder_;
  std::vector<UniqueFd> streams_;
};

}  // namespace keyward
