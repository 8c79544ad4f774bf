// How records hold together: each names the hash of the line before it, the first one that of the
// log, and a signature over a hash answers for all that came before. docs/AUDIT_FORMAT.md, "Chain".
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/bytes.h"

namespace keyward::audit {

using Hash = std::array<uint8_t, 32>;   // BLAKE2b-256, without a key
using LogId = std::array<uint8_t, 16>;  // random, as long as the log lives

// A place in the chain: the sequence number of a record, and the hash of its line.
struct Head {
  uint64_t seq;
  Hash hash;
  bool operator==(const Head&) const = default;
};

// How far the log `log` has come.
struct End {
  LogId log;
  Head head;
};

// A line is hashed without its newline.
Hash HashOf(std::string_view line);
// What the first record of a log has for the hash of the line before it.
Hash Genesis(const LogId& id);
// What a checkpoint signs.
Bytes CheckpointStatement(const LogId& id, const Head& through);

}  // namespace keyward::audit
