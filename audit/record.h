// One line of the log and what it says. docs/AUDIT_FORMAT.md, "Record".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "audit/chain.h"
#include "audit/event.h"
#include "core/clock.h"
#include "core/result.h"

namespace keyward::audit {

inline constexpr size_t kMaxLine = 4096;          // bytes, with the newline
inline constexpr size_t kMaxSignatureSize = 512;  // bytes
// A checkpoint comes at most so many records after the last one that it signs.
inline constexpr uint64_t kMaxCheckpointLag = 4096;

// A signature over the chain up to a record before it.
struct Checkpoint {
  LogId log{};
  Head through{};
  Hash key{};  // PublicKey::Fingerprint of the one that signed
  Bytes signature;
  bool operator==(const Checkpoint&) const = default;
};

struct Record {
  struct Detail {
    std::string name;
    std::variant<uint64_t, std::string> value;
    bool operator==(const Detail&) const = default;
  };

  uint64_t seq = 0;
  WallTime time;
  bool stepped_back = false;  // the clock said less than for the record before
  EventKind event = EventKind::kAuditBegin;
  std::optional<uint32_t> caller;
  std::string module;
  std::string object;
  std::optional<ErrorCode> failed;
  std::vector<Detail> detail;
  std::optional<Checkpoint> checkpoint;  // of an audit.checkpoint, and of no other
  Hash prev{};
  bool operator==(const Record&) const = default;

  // Nothing when there is no such detail, or another kind of value.
  std::optional<uint64_t> Number(std::string_view name) const;
  std::optional<std::string_view> Text(std::string_view name) const;
};

// All but `seq`, `time`, `stepped_back` and `prev`. Errors: kInvalidArgument (more than kMaxDetails
// details, or one name twice).
Result<Record> ToRecord(const Event& event);

// The one line for a record, without its newline; under kMaxLine bytes for what ToRecord gave.
std::string ComposeLine(const Record& record);
// Errors: kMalformed for every line that ComposeLine does not give, with what is wrong as message.
Result<Record> ParseLine(std::string_view line);

// The id of the log that a record tells of: an audit.begin or audit.checkpoint.
std::optional<LogId> LogIdIn(const Record& record);

}  // namespace keyward::audit
