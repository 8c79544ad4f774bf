#include "audit/log.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "audit/directory_storage.h"
#include "core/encoding.h"
#include "core/timestamp.h"

namespace keyward::audit {
namespace {

constexpr uint64_t kFormat = 1;
// For a record and the notes that may come before it.
constexpr uint64_t kRoom = 3 * kMaxLine;

bool IsExhausted(const Error& error) { return error.code() == ErrorCode::kResourceExhausted; }

Hash FingerprintOf(const PublicKey& key) {
  Hash fingerprint;
  std::ranges::copy(key.Fingerprint(), fingerprint.begin());
  return fingerprint;
}

}  // namespace

Result<Log> Log::Open(const std::filesystem::path& folder, const Clock& clock, Rng& rng,
                      const Options& options) {
  KEYWARD_ASSIGN(std::unique_ptr<Storage> storage, OpenDirectory(folder));
  return Open(std::move(storage), clock, rng, options);
}

Result<Log> Log::Open(std::unique_ptr<Storage> storage, const Clock& clock, Rng& rng,
                      const Options& options) {
  KEYWARD_ASSIGN(Tail tail, ReadTail(*storage, options.expected_head));
  Log log(std::move(storage), clock, options.limits);
  const uint64_t unfinished = tail.unfinished;
  if (tail.segments.empty()) {
    KEYWARD_TRY(log.Begin(rng));
  } else {
    KEYWARD_TRY(log.GoOn(std::move(tail)));
  }
  if (unfinished > 0) {
    KEYWARD_TRY(log.AddNote(EventKind::kAuditRepair, {{.name = "bytes", .value = unfinished}}));
  }
  return log;
}

Result<void> Log::Begin(Rng& rng) {
  rng.Fill(id_);
  head_ = {0, Genesis(id_)};
  KEYWARD_TRY(BeginSegment());
  return AddNote(EventKind::kAuditBegin,
                 {{.name = "format", .value = kFormat}, {.name = "log", .value = ToHex(id_)}});
}

Result<void> Log::GoOn(Tail tail) {
  id_ = tail.id;
  head_ = tail.head;
  last_time_ = tail.last_time;
  signed_through_ = tail.signed_through;
  unsigned_records_ = tail.unsigned_records;
  first_kept_ = tail.first_kept;
  segments_ = std::move(tail.segments);
  KEYWARD_ASSIGN(auto file, storage_->Append(segments_.back().first_seq));
  writer_ = std::make_unique<SegmentWriter>(std::move(file), segments_.back().size,
                                            limits_.reserve_bytes);
  if (tail.torn) {
    // Not before there is space for the record of it.
    KEYWARD_TRY(writer_->DrawOnReserve(tail.unfinished + kMaxLine));
    KEYWARD_TRY(writer_->Finish());
  }
  const Result<void> aside = writer_->SetAside(kRoom);
  // On a full disk the log opens: the first event tells.
  if (!aside && !IsExhausted(aside.error())) return aside;
  return RemoveBefore(first_kept_);  // what a crash left of an earlier removal
}

Result<void> Log::Append(const Event& event) { return AppendTo(Space::kAhead, event); }

Result<void> Log::AppendReserved(const Event& event) { return AppendTo(Space::kReserve, event); }

Result<void> Log::AppendTo(Space space, const Event& event) {
  if (IsOfTheLog(event.kind)) {
    return Fail(ErrorCode::kInvalidArgument, "only the audit log itself tells such events");
  }
  KEYWARD_ASSIGN(Record record, ToRecord(event));
  const Result<void> begun = BeginSegmentIf(writer_->size() >= 2 * limits_.segment_bytes);
  const Result<void> room = begun ? MakeRoom() : begun;
  if (!room && space == Space::kAhead) return room;
  return Add(std::move(record), space);
}

Result<void> Log::MakeRoom() {
  const Result<void> room = writer_->SetAside(kRoom);
  if (!room && IsExhausted(room.error()) && !full_) {
    full_ = AddNote(EventKind::kAuditFull).has_value();
  }
  if (room && full_) {
    KEYWARD_TRY(AddNote(EventKind::kAuditSpace));
    full_ = false;
  }
  return room;
}

Result<void> Log::AddNote(EventKind kind, std::vector<Record::Detail> detail) {
  Record record;
  record.event = kind;
  record.detail = std::move(detail);
  return Add(std::move(record), Space::kReserve);
}

Result<void> Log::Add(Record record, Space space) {
  record.seq = head_.seq + 1;
  record.time = std::clamp(clock_->Now(), kEarliest, kLatest);
  record.stepped_back = record.seq > 1 && record.time < last_time_;
  record.prev = head_.hash;
  std::string line = ComposeLine(record);
  const Hash hash = HashOf(line);
  line += '\n';
  if (space == Space::kReserve) KEYWARD_TRY(writer_->DrawOnReserve(line.size()));
  KEYWARD_TRY(writer_->WriteLine(line));
  head_ = {record.seq, hash};
  last_time_ = record.time;
  if (segments_.back().first_seq == record.seq) {
    segments_.back().first_time = record.time;
    segments_.back().begins_with_checkpoint = record.checkpoint.has_value();
  }
  if (!record.checkpoint) ++unsigned_records_;
  if (listener_) listener_(std::string_view(line).substr(0, line.size() - 1));
  return {};
}

std::vector<std::pair<uint64_t, uint64_t>> Log::Segments() const {
  std::vector<std::pair<uint64_t, uint64_t>> segments;
  segments.reserve(segments_.size());
  for (const Segment& segment : segments_) segments.emplace_back(segment.first_seq, segment.size);
  segments.back().second = writer_->size();
  return segments;
}

Result<void> Log::BeginSegmentIf(bool due) {
  // The last segment may have no record yet.
  if (!due || segments_.back().first_seq == head_.seq + 1) return {};
  const Result<void> begun = BeginSegment();
  return !begun && IsExhausted(begun.error()) ? Result<void>() : begun;
}

Result<void> Log::BeginSegment() {
  const uint64_t first_seq = head_.seq + 1;
  KEYWARD_ASSIGN(auto file, storage_->Create(first_seq));
  auto writer = std::make_unique<SegmentWriter>(std::move(file), 0, limits_.reserve_bytes);
  if (Result<void> aside = writer->SetAside(kRoom); !aside) {
    std::ignore = storage_->Remove(first_seq);  // else when the log is opened next
    return aside;
  }
  if (writer_) {
    segments_.back().size = writer_->size();
    std::ignore = writer_->Finish();  // a failure wastes the space that was set aside
  }
  segments_.push_back({first_seq, 0, clock_->Now(), false});
  writer_ = std::move(writer);
  return {};
}

bool Log::SegmentIsOld() const {
  return clock_->Now() - segments_.back().first_time >= limits_.segment_age;
}

std::optional<Bytes> Log::CheckpointMessage() {
  if (unsigned_records_ == 0) return std::nullopt;
  to_sign_ = head_;
  return CheckpointStatement(id_, head_);
}

bool Log::CheckpointDue() const {
  return unsigned_records_ >= limits_.checkpoint_records ||
         (unsigned_records_ > 0 && (writer_->size() >= limits_.segment_bytes || SegmentIsOld()));
}

Result<void> Log::AddCheckpoint(ByteView signature, const PublicKey& key) {
  if (!to_sign_ || head_.seq - to_sign_->seq >= kMaxCheckpointLag) {
    to_sign_.reset();
    return Fail(Error(ErrorCode::kWrongState,
                      "no checkpoint of the audit log waits for this "
                      "signature; sign a new message")
                    .WithAction(Action::kRetry));
  }
  KEYWARD_TRY(key.Verify(CheckpointStatement(id_, *to_sign_), signature));
  KEYWARD_TRY(BeginSegmentIf(writer_->size() >= limits_.segment_bytes || SegmentIsOld()));
  KEYWARD_TRY(MakeRoom());
  const uint64_t between = head_.seq - to_sign_->seq;
  Record record;
  record.event = EventKind::kAuditCheckpoint;
  record.checkpoint = Checkpoint{
      .log = id_, .through = *to_sign_, .key = FingerprintOf(key), .signature = ToBytes(signature)};
  KEYWARD_TRY(Add(std::move(record), Space::kAhead));
  signed_through_ = to_sign_->seq;
  unsigned_records_ = between;
  to_sign_.reset();
  return {};
}

Result<size_t> Log::Retain() {
  const size_t count = CountToRemove();
  if (count == 0) return size_t{0};
  const uint64_t first_kept = segments_[count].first_seq;
  if (first_kept > first_kept_) {
    KEYWARD_TRY(AddNote(EventKind::kAuditRetention,
                        {{.name = "first_kept", .value = first_kept},
                         {.name = "removed", .value = first_kept - segments_.front().first_seq}}));
    first_kept_ = first_kept;
  }
  KEYWARD_TRY(RemoveBefore(first_kept));
  return count;
}

size_t Log::CountToRemove() const {
  uint64_t kept = writer_->size();
  for (const Segment& segment : segments_) kept += &segment == &segments_.back() ? 0 : segment.size;
  const WallTime oldest = clock_->Now() - limits_.max_age;
  size_t count = 0;
  for (size_t i = 0; i + 1 < segments_.size(); ++i) {
    const Segment& next = segments_[i + 1];  // began when the last record of this one was old
    if (kept <= limits_.total_bytes && next.first_time >= oldest) break;
    kept -= segments_[i].size;
    if (next.begins_with_checkpoint && next.first_seq - 1 <= signed_through_) count = i + 1;
  }
  return count;
}

Result<void> Log::RemoveBefore(uint64_t first_kept) {
  // Oldest first, so that what a crash leaves has no gap.
  while (segments_.size() > 1 && segments_.front().first_seq < first_kept) {
    KEYWARD_TRY(storage_->Remove(segments_.front().first_seq));
    segments_.erase(segments_.begin());
  }
  return {};
}

}  // namespace keyward::audit
