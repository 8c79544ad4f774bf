// The file `audit-tail` in the state directory: how far the audit log has come, under a MAC.
//
// Whoever may write the log's files can make its chain fit, but not this MAC, whose key only the
// hardware releases. The file follows every record, in place and without a sync of its own: after a
// crash it tells of all of them, after a power cut perhaps of fewer. A log with more records than
// it tells of is as whole as one with just these, so that nothing has to wait for it.
#pragma once

#include <filesystem>

#include "audit/chain.h"
#include "core/blake2b.h"
#include "core/secret_bytes.h"
#include "core/unique_fd.h"

namespace keyward {

struct AuditTail {
  audit::End end;
  Hash256 mac;  // over all of it
};

inline constexpr const char* kAuditTailFile = "audit-tail";
inline constexpr size_t kAuditTailSize = 93;  // bytes: within one sector of any disk

// "KWAT" u8 version(1) | log (16) | u64 seq | hash (32) | MAC (32): BLAKE2b-256 under
// Subkey::kAudit of "keyward audit tail 1" and all before. Big-endian. docs/STORE_FORMAT.md.
Bytes Encode(const AuditTail& tail);
// The MAC takes the key to check. Errors: kDataCorrupt.
Result<AuditTail> DecodeAuditTail(ByteView bytes);

// `key`: 32 bytes. Errors: kInternal.
Result<AuditTail> Authenticated(const audit::End& end, const SecretBytes& key);
// Of a service whose store says that it has one. Errors: kRolledBack (there is none), kDataCorrupt
// (it is not as keyd wrote it), kIo, kInternal.
Result<audit::End> ReadAuditTail(const std::filesystem::path& state_directory,
                                 const SecretBytes& key);

// Writes it. Belongs to one thread. Errors of every function: kIo, kInternal.
class AuditTailFile {
 public:
  // In place of whatever has its name; on disk when it returns. Takes the key along.
  static Result<AuditTailFile> Make(const std::filesystem::path& state_directory, SecretBytes key,
                                    const audit::End& end);
  // Goes on with the one that was read, which takes no disk space. Takes the key along.
  static Result<AuditTailFile> GoOn(const std::filesystem::path& state_directory, SecretBytes key,
                                    const audit::End& end);

  // What is written survives the end of the process, and a power cut once it is synced.
  Result<void> Write(const audit::Head& head);
  // At once done when nothing was written since the last time.
  Result<void> Sync();

 private:
  AuditTailFile(UniqueFd file, SecretBytes key, const audit::LogId& log)
      : file_(std::move(file)), key_(std::move(key)), log_(log) {}

  UniqueFd file_;
  SecretBytes key_;
  audit::LogId log_;
  bool synced_ = true;
};

}  // namespace keyward
