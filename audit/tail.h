// What a log that is opened has to know of the records it has.
#pragma once

#include <optional>
#include <vector>

#include "audit/chain.h"
#include "audit/record.h"
#include "audit/storage.h"
#include "core/public_key.h"

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
  uint64_t unfinished = 0;        // bytes of that, or in a removed segment
};

// What is known of a log from elsewhere: see Log::Options.
struct Expected {
  std::optional<Head> head;
  std::optional<End> end;
  std::vector<PublicKey> signers;
};

// Reads and verifies the newest segment, and those before it back to what is expected; of the
// others, the first record. Removes segments that hold no whole record, which a crash leaves.
//
// Anybody can chain records to the last one that is expected. Of those, a checkpoint has to be by
// one of the signers, and no retention is believed: one at the very end, which a crash may leave
// before anything was removed, counts as torn.
// Errors: kIo, kRolledBack (the log lacks what is expected, or is another), kDataCorrupt.
Result<Tail> ReadTail(Storage& storage, const Expected& expected);

}  // namespace keyward::audit
