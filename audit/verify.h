// Whether a log, or what was exported of it, is what was written. Needs nothing but its lines and,
// to know who wrote them, the public keys that signed its checkpoints.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/chain.h"
#include "audit/line_splitter.h"
#include "audit/record.h"
#include "core/public_key.h"

namespace keyward::audit {

enum class FaultKind : uint8_t {
  kEmpty,             // no record at all
  kMalformed,         // a line is no record
  kTruncated,         // the last line does not end
  kAltered,           // a record is not as it was written
  kRemoved,           // a record is missing
  kReordered,         // a record stands in another place
  kDuplicated,        // a record stands there twice
  kBadSignature,      // a checkpoint's signature does not verify
  kUnknownKey,        // a checkpoint was signed by none of the given keys
  kUnsigned,          // keys were given, and nothing is signed by one
  kBeginningRemoved,  // the first records are missing, and no retention explains it
  kEndRemoved,        // the last records are missing: the known head comes after them
};

// "malformed", "truncated", ...; values for scripts.
std::string_view Name(FaultKind kind);

// The first bad record.
struct Fault {
  FaultKind kind;
  uint64_t line;     // from 1; where the record is, or should be
  uint64_t seq;      // that the record has, or should have; 0 when that cannot be told
  std::string what;  // a sentence's end: "record 7 was altered"
};

struct Report {
  uint64_t records = 0;  // that hold together: those before the first bad one
  uint64_t first_seq = 0;
  Head last{};
  uint64_t checkpoints = 0;
  uint64_t verified = 0;        // of these, whose signature was checked
  uint64_t signed_through = 0;  // the last record that a checked signature answers for
  std::optional<Fault> fault;   // nothing: the log is valid
};

// Takes any bytes, in chunks of any size, with bounded memory.
class Verifier {
 public:
  struct Options {
    std::vector<PublicKey> keys;  // none: signatures are not checked
    std::optional<Head> head;     // a record that is known to be in the log
  };

  explicit Verifier(Options options);
  // It refers to itself.
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

  void Push(std::string_view chunk) { lines_.Push(chunk); }
  // Once, after all of it.
  Report Finish();

  uint64_t lines() const { return line_; }

 private:
  void Take(std::string_view line);
  void Check(const Record& record, std::string_view line);
  void CheckFirst(const Record& record);
  void CheckPlace(const Record& record, const Hash& hash);
  void CheckContent(const Record& record, const Hash& hash);
  void CheckCheckpoint(const Record& record);
  void CheckSignature(const Record& record);
  void Accept(const Record& record, const Hash& hash);
  // After a fault: what the lines behind it tell about it.
  void Explain(std::string_view line);
  void ExplainLast();
  void Blame(FaultKind kind, uint64_t line, uint64_t seq, std::string what);
  void BlameThis(FaultKind kind, const std::string& what);
  void BlameEnd();
  const Hash* HashOfRecord(uint64_t seq) const;

  Options options_;
  Report report_;
  LineSplitter lines_;
  uint64_t line_ = 0;
  std::optional<LogId> id_;
  Hash before_first_{};
  WallTime last_time_;
  std::deque<Hash> recent_;  // of the last records, at most kMaxCheckpointLag
  uint64_t first_kept_ = 0;
  bool head_seen_ = false;
  // A record that does not fit the one before: either may be the altered one.
  std::optional<Hash> suspect_;
};

}  // namespace keyward::audit
