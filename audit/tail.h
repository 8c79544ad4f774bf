// What a log that is opened has to know of the records it has.
#pragma once

#include <optional>
#include <vector>

#include "audit/chain.h"
#include "audit/record.h"
#include "audit/storage.h"

namespace keyward::audit {

struct Segment {
  uint64_t first_seq;
  uint64_t size;  // bytes, of whole lines
  WallTime first_time;
  bool begins_with_checkpoint;
};

struct Tail {
  std::vector<Segment> segments;  // oldest first; none: there is no log
  LogId id{};
  Head head{};
  WallTime last_time;             // of the last record
  uint64_t signed_through = 0;    // by the last checkpoint that was read; 0: none was
  uint64_t unsigned_records = 0;  // after that, checkpoints left out
  uint64_t first_kept = 0;        // of the last retention that was read; 0: none was
  bool torn = false;              // something follows the last line of the last segment
  uint64_t unfinished = 0;        // bytes that are no whole line, there or in a removed segment
};

// What is known of a log from elsewhere: see Log::Options.
struct Expected {
  std::optional<Head> head;
  std::optional<End> end;
};

// Reads and verifies the newest segment, and those before it back to what is expected; of the
// others, the first record. Removes segments that hold no whole record, which a crash leaves.
// Errors: kIo, kRolledBack (the log lacks what is expected, or is another), kDataCorrupt.
Result<Tail> ReadTail(Storage& storage, const Expected& expected);

}  // namespace keyward::audit
