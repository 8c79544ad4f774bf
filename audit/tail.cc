#include "audit/tail.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/line_splitter.h"

namespace keyward::audit {
namespace {

constexpr size_t kChunk = size_t{256} * 1024;

std::unexpected<Error> Corrupt(uint64_t seq, std::string_view why) {
  return Fail(ErrorCode::kDataCorrupt,
              fmt::format("the audit log does not hold together at record {}: {}", seq, why));
}

// Follows the chain from line to line, and keeps what a Tail tells of it.
class Follower {
 public:
  // Takes out of `missing` what the log has.
  Follower(Tail& tail, std::vector<Head>& missing, const std::vector<PublicKey>& signers,
           uint64_t first_seq)
      : tail_(tail), missing_(missing), signers_(signers), next_seq_(first_seq) {
    if (!missing.empty()) known_ = missing.back();
  }

  void Take(std::string_view line) {
    if (fault_) return;
    if (Result<void> followed = Follow(line); !followed) fault_ = std::move(followed).error();
  }
  const std::optional<Error>& fault() const { return fault_; }
  // Bytes of a last line that does not count.
  uint64_t disowned() const { return disowned_; }

 private:
  Result<void> Follow(std::string_view line);
  void Note(const Record& record);
  bool IsLate(const Record& record) const { return known_ && record.seq > known_->seq; }
  bool IsOurs(const Record& record) const;
  // Of a record that is late.
  Result<void> CheckCheckpoint(const Record& record) const;
  void Arrive(const Head& head) {
    tail_.head = head;
    std::erase(missing_, head);
  }

  Tail& tail_;
  std::vector<Head>& missing_;
  const std::vector<PublicKey>& signers_;
  std::optional<Head> known_;  // the last record that is expected
  std::vector<Hash> late_;     // of the records after it
  uint64_t next_seq_;
  uint64_t disowned_ = 0;
  bool first_ = true;
  std::optional<Error> fault_;
};

Result<void> Follower::Follow(std::string_view line) {
  if (disowned_ > 0) return Corrupt(next_seq_, "nobody vouches for the removal that it tells of");
  const Result<Record> record = ParseLine(line);
  if (!record) return Corrupt(next_seq_, record.error().message());
  if (record->seq != next_seq_) return Corrupt(next_seq_, "another stands in its place");
  if (first_) Arrive({record->seq - 1, record->prev});
  if (record->prev != tail_.head.hash) return Corrupt(next_seq_, "the chain is broken");
  const std::optional<LogId> id = LogIdIn(*record);
  if (id && *id != tail_.id) return Corrupt(next_seq_, "it is another log's");
  if (record->seq == 1 && record->prev != Genesis(tail_.id)) {
    return Corrupt(next_seq_, "the chain is broken");
  }
  first_ = false;
  if (IsLate(*record)) {
    if (record->event == EventKind::kAuditRetention) {
      disowned_ = line.size() + 1;
      return {};
    }
    KEYWARD_TRY(CheckCheckpoint(*record));
    late_.push_back(HashOf(line));
  }
  Arrive({record->seq, HashOf(line)});
  ++next_seq_;
  Note(*record);
  return {};
}

bool Follower::IsOurs(const Record& record) const {
  const Head& through = record.checkpoint->through;
  if (through.seq >= record.seq || record.seq - through.seq > kMaxCheckpointLag) return false;
  // What is before the last record that is known is as it was when it was signed.
  if (through.seq == known_->seq) return through == *known_;
  return through.seq < known_->seq || late_[through.seq - known_->seq - 1] == through.hash;
}

Result<void> Follower::CheckCheckpoint(const Record& record) const {
  if (!record.checkpoint) return {};
  const Checkpoint& checkpoint = *record.checkpoint;
  const Bytes statement = CheckpointStatement(checkpoint.log, checkpoint.through);
  const bool is_signed = std::ranges::any_of(signers_, [&](const PublicKey& key) {
    return std::ranges::equal(key.Fingerprint(), checkpoint.key) &&
           key.Verify(statement, checkpoint.signature);
  });
  if (is_signed && IsOurs(record)) return {};
  return Corrupt(record.seq, "it is a checkpoint that keyd did not sign");
}

void Follower::Note(const Record& record) {
  tail_.last_time = record.time;
  if (record.checkpoint) {
    // Between what it signs and itself there are no checkpoints.
    tail_.signed_through = record.checkpoint->through.seq;
    tail_.unsigned_records = record.seq - 1 - std::min(record.seq - 1, tail_.signed_through);
  } else {
    ++tail_.unsigned_records;
  }
  if (record.event == EventKind::kAuditRetention) {
    tail_.first_kept = record.Number("first_kept").value_or(0);
  }
}

Result<std::optional<std::string>> FirstLine(Storage& storage, uint64_t first_seq) {
  KEYWARD_ASSIGN(std::string text, storage.Read(first_seq, 0, kMaxLine));
  const size_t end = text.find('\n');
  if (end == std::string::npos) return std::nullopt;
  text.resize(end);
  return text;
}

// A crash may leave a segment without a whole record: the last one, or one that could not be
// removed at once.
Result<std::vector<Storage::Entry>> WholeSegments(Storage& storage, Tail& tail) {
  KEYWARD_ASSIGN(std::vector<Storage::Entry> entries, storage.List());
  std::vector<Storage::Entry> whole;
  for (const Storage::Entry& entry : entries) {
    KEYWARD_ASSIGN(const std::optional<std::string> line, FirstLine(storage, entry.first_seq));
    const bool last = entry.first_seq == entries.back().first_seq;
    if (line) {
      whole.push_back(entry);
    } else if (entry.size == 0 || (last && entry.size < kMaxLine)) {
      tail.unfinished += entry.size;
      KEYWARD_TRY(storage.Remove(entry.first_seq));
    } else {
      return Corrupt(entry.first_seq, "its segment holds no record");
    }
  }
  return whole;
}

Result<void> ReadFirstRecords(Storage& storage, const std::vector<Storage::Entry>& entries,
                              Tail& tail) {
  std::optional<LogId> id;
  for (const Storage::Entry& entry : entries) {
    KEYWARD_ASSIGN(const std::optional<std::string> line, FirstLine(storage, entry.first_seq));
    const Result<Record> record = ParseLine(line.value_or(""));
    if (!record) return Corrupt(entry.first_seq, record.error().message());
    if (!id) id = LogIdIn(*record);
    tail.segments.push_back(
        {entry.first_seq, entry.size, record->time, record->checkpoint.has_value()});
  }
  if (!id) return Corrupt(entries.front().first_seq, "no segment begins with the log's id");
  tail.id = *id;
  return {};
}

Result<void> Follow(Storage& storage, const std::vector<PublicKey>& signers, size_t from,
                    std::vector<Head>& missing, Tail& tail) {
  Follower follower(tail, missing, signers, tail.segments[from].first_seq);
  for (size_t i = from; i < tail.segments.size(); ++i) {
    LineSplitter lines([&follower](std::string_view line) { follower.Take(line); });
    const auto [first_seq, size, time, checkpoint] = tail.segments[i];
    for (uint64_t at = 0; at < size && !follower.fault(); at += kChunk) {
      KEYWARD_ASSIGN(const std::string chunk, storage.Read(first_seq, at, kChunk));
      lines.Push(chunk);
    }
    if (follower.fault()) return Fail(*follower.fault());
    const bool last = i + 1 == tail.segments.size();
    if (lines.unfinished() >= (last ? kMaxLine : 1)) {
      return Corrupt(tail.head.seq + 1, "its line does not end");
    }
    if (const uint64_t cut = lines.unfinished() + follower.disowned(); last && cut > 0) {
      tail.torn = true;
      tail.unfinished += cut;
      tail.segments[i].size -= cut;
    }
    if (!last && tail.segments[i + 1].first_seq != tail.head.seq + 1) {
      return Corrupt(tail.head.seq + 1, "it is missing");
    }
  }
  return {};
}

// Records that have to be in the log, in their order.
std::vector<Head> HeadsOf(const Expected& expected) {
  std::vector<Head> heads;
  if (expected.head) heads.push_back(*expected.head);
  const uint64_t known = expected.head ? expected.head->seq : 0;
  if (expected.end && expected.end->head.seq > known) heads.push_back(expected.end->head);
  return heads;
}

// The segment in which the first of `heads` is, or was the last record before it.
size_t SegmentToFollowFrom(const Tail& tail, const std::vector<Head>& heads) {
  size_t from = tail.segments.size() - 1;
  while (!heads.empty() && from > 0 && tail.segments[from].first_seq > heads.front().seq) --from;
  return from;
}

}  // namespace

Result<Tail> ReadTail(Storage& storage, const Expected& expected) {
  Tail tail;
  KEYWARD_ASSIGN(const std::vector<Storage::Entry> entries, WholeSegments(storage, tail));
  std::vector<Head> missing = HeadsOf(expected);
  if (!entries.empty()) {
    KEYWARD_TRY(ReadFirstRecords(storage, entries, tail));
    if (expected.end && expected.end->log != tail.id) {
      return Fail(ErrorCode::kRolledBack,
                  "the audit log is another than keyd wrote to: it was replaced");
    }
    const size_t from = SegmentToFollowFrom(tail, missing);
    KEYWARD_TRY(Follow(storage, expected.signers, from, missing, tail));
  }
  if (missing.empty()) return tail;
  return Fail(ErrorCode::kRolledBack,
              fmt::format("the audit log lacks record {}, or has another in its place: its end "
                          "was cut off, or it was replaced",
                          missing.front().seq));
}

}  // namespace keyward::audit
