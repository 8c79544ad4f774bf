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
// By which a clock is corrected, and not set.
constexpr std::chrono::minutes kClockTolerance{5};

bool IsExhausted(const Error& error) { return error.code() == ErrorCode::kResourceExhausted; }

}  // namespace

Result<Log> Log::Open(const std::filesystem::path& folder, const Clock& clock, Rng& rng,
                      const Options& options) {
  KEYWARD_ASSIGN(std::unique_ptr<Storage> storage, OpenDirectory(folder));
  return Open(std::move(storage), clock, rng, options);
}

Result<Log> Log::Open(std::unique_ptr<Storage> storage, const Clock& clock, Rng& rng,
                      const Options& options) {
  KEYWARD_ASSIGN(Tail tail, ReadTail(*storage, {options.expected_head, options.expected_end,
                                                options.signers}));
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
  last_.head = {0, Genesis(id_)};
  KEYWARD_TRY(BeginSegment());
  return AddNote(EventKind::kAuditBegin,
                 {{.name = "format", .value = kFormat}, {.name = "log", .value = ToHex(id_)}});
}

Result<void> Log::GoOn(Tail tail) {
  id_ = tail.id;
  last_ = {.head = tail.head, .time = tail.last_time};
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

Result<void> Log::Append(const Event& event) {
  return AppendTo(Space::kAhead, std::span(&event, 1));
}

Result<void> Log::AppendReserved(std::span<const Event> events) {
  return events.empty() ? Result<void>() : AppendTo(Space::kReserve, events);
}

Result<void> Log::AppendTo(Space space, std::span<const Event> events) {
  std::vector<Record> records;
  for (const Event& event : events) {
    if (IsOfTheLog(event.kind)) {
      return Fail(ErrorCode::kInvalidArgument, "only the audit log itself tells such events");
    }
    KEYWARD_ASSIGN(Record record, ToRecord(event));
    records.push_back(std::move(record));
  }
  const Result<void> begun = BeginSegmentIf(writer_->size() >= 2 * limits_.segment_bytes);
  const Result<void> room = begun ? MakeRoom() : begun;
  if (!room && space == Space::kAhead) return room;
  return Add(std::move(records), space);
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
  return Add({std::move(record)}, Space::kReserve);
}

std::string Log::PlaceAfter(Position& last, Record& record) const {
  record.seq = last.head.seq + 1;
  record.time = std::clamp(clock_->Now(), kEarliest, kLatest);
  record.stepped_back = record.seq > 1 && record.time < last.time;
  record.prev = last.head.hash;
  std::string line = ComposeLine(record);
  last = {.head = {record.seq, HashOf(line)}, .time = record.time};
  return line += '\n';
}

Result<void> Log::Add(std::vector<Record> records, Space space) {
  Position last = last_;
  std::string lines;
  for (Record& record : records) lines += PlaceAfter(last, record);
  if (space == Space::kReserve) KEYWARD_TRY(writer_->DrawOnReserve(lines.size()));
  KEYWARD_TRY(writer_->WriteLines(lines));
  last_ = last;
  const Record& first = records.front();
  if (segments_.back().first_seq == first.seq) {
    segments_.back().first_time = first.time;
    segments_.back().begins_with_checkpoint = first.checkpoint.has_value();
  }
  unsigned_records_ += first.checkpoint ? 0 : records.size();
  if (head_listener_) head_listener_(last_.head);
  Tell(lines);
  return {};
}

void Log::Tell(std::string_view lines) const {
  if (!listener_) return;
  for (size_t end = lines.find('\n'); end != lines.npos; end = lines.find('\n')) {
    listener_(lines.substr(0, end));
    lines.remove_prefix(end + 1);
  }
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
  if (!due || segments_.back().first_seq == last_.head.seq + 1) return {};
  const Result<void> begun = BeginSegment();
  return !begun && IsExhausted(begun.error()) ? Result<void>() : begun;
}

Result<void> Log::BeginSegment() {
  const uint64_t first_seq = last_.head.seq + 1;
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
  to_sign_ = last_.head;
  return CheckpointStatement(id_, last_.head);
}

bool Log::CheckpointDue() const {
  return unsigned_records_ >= limits_.checkpoint_records ||
         (unsigned_records_ > 0 && (writer_->size() >= limits_.segment_bytes || SegmentIsOld()));
}

Result<void> Log::AddCheckpoint(ByteView signature, const PublicKey& key) {
  if (!to_sign_ || last_.head.seq - to_sign_->seq >= kMaxCheckpointLag) {
    to_sign_.reset();
    return Fail(Error(ErrorCode::kWrongState,
                      "no checkpoint of the audit log waits for this "
                      "signature; sign a new message")
                    .WithAction(Action::kRetry));
  }
  KEYWARD_TRY(key.Verify(CheckpointStatement(id_, *to_sign_), signature));
  KEYWARD_TRY(BeginSegmentIf(writer_->size() >= limits_.segment_bytes || SegmentIsOld()));
  KEYWARD_TRY(MakeRoom());
  const uint64_t between = last_.head.seq - to_sign_->seq;
  Record record;
  record.event = EventKind::kAuditCheckpoint;
  record.checkpoint = Checkpoint{
      .log = id_, .through = *to_sign_, .key = key.Fingerprint(), .signature = ToBytes(signature)};
  KEYWARD_TRY(Add({std::move(record)}, Space::kAhead));
  signed_through_ = to_sign_->seq;
  unsigned_records_ = between;
  to_sign_.reset();
  return {};
}

Result<Log::Removal> Log::Retain(const std::function<Result<void>()>& keep_head) {
  const Removal removal = ToRemove();
  if (removal.segments == 0) return removal;
  const uint64_t first_kept = removal.first_kept;
  if (first_kept > first_kept_) {
    KEYWARD_TRY(AddNote(EventKind::kAuditRetention,
                        {{.name = "first_kept", .value = first_kept},
                         {.name = "removed", .value = first_kept - segments_.front().first_seq}}));
    first_kept_ = first_kept;
  }
  KEYWARD_TRY(keep_head());
  KEYWARD_TRY(RemoveBefore(first_kept));
  return removal;
}

bool Log::ClockIsProved() {
  const Moment now{.wall = clock_->Now(), .monotonic = clock_->Monotonic()};
  const auto open = now.monotonic - since_.monotonic;
  if (std::chrono::abs(now.wall - since_.wall - open) > kClockTolerance) {
    since_ = now;
    return false;
  }
  return open >= kClockProof;
}

Log::Removal Log::ToRemove() {
  const bool by_age = ClockIsProved();
  uint64_t kept = writer_->size();
  for (const Segment& segment : segments_) kept += &segment == &segments_.back() ? 0 : segment.size;
  const WallTime oldest = clock_->Now() - limits_.max_age;
  Removal removal;
  for (size_t i = 0; i + 1 < segments_.size(); ++i) {
    const Segment& next = segments_[i + 1];  // began when the last record of this one was old
    const bool too_many = kept > limits_.total_bytes;
    if (!too_many && !(by_age && next.first_time < oldest)) break;
    kept -= segments_[i].size;
    if (next.begins_with_checkpoint && next.first_seq - 1 <= signed_through_) {
      removal = {.segments = i + 1, .first_kept = next.first_seq, .for_age = !too_many};
    }
  }
  return removal;
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
