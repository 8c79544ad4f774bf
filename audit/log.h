// The audit log: every event is on disk before what it tells of goes on, chained to the one before.
// docs/AUDIT_FORMAT.md specifies the files.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/chain.h"
#include "audit/event.h"
#include "audit/record.h"
#include "audit/segment_writer.h"
#include "audit/storage.h"
#include "audit/tail.h"
#include "core/clock.h"
#include "core/public_key.h"
#include "core/rng.h"

namespace keyward::audit {

// Single-threaded. A signature may be made elsewhere meanwhile: see CheckpointMessage.
class Log {
 public:
  // One start with a wrong clock is not to make a log old: so long the log has been open, and the
  // wall clock went on as the monotonic one did, before records count as old.
  static constexpr std::chrono::hours kClockProof{6};

  struct Limits {
    // A checkpoint begins a new segment when the last one has so many bytes or is so old; at twice
    // the bytes a new one begins without.
    uint64_t segment_bytes = uint64_t{4} << 20;
    std::chrono::hours segment_age{24};
    // Retain removes what is beyond either.
    uint64_t total_bytes = uint64_t{256} << 20;
    std::chrono::hours max_age{24 * 400};
    // Disk space set aside for AppendReserved; 0 sets none aside.
    uint64_t reserve_bytes = uint64_t{1} << 20;
    // CheckpointDue after so many records without a signature.
    uint64_t checkpoint_records = 1000;
  };
  // What a Retain removed.
  struct Removal {
    size_t segments = 0;      // 0: nothing was beyond the limits
    uint64_t first_kept = 0;  // the first record that is left
    bool for_age = false;     // the bytes alone would not have called for the last of it
  };
  struct Options {
    Limits limits;
    // A record that is known from elsewhere to be in the log.
    std::optional<Head> expected_head;
    // How far the log has come at least, from elsewhere still. Where it is not further than
    // `expected_head`, only whose end it is counts: retention may have removed that record.
    std::optional<End> expected_end = std::nullopt;
    // Who may have signed checkpoints after the last record that is expected.
    std::vector<PublicKey> signers;
  };

  // Goes on with the log of `folder`, which must be there, or begins one. An incomplete last line,
  // which a crash leaves, is cut off and that is recorded. Only the newest segment is read and
  // verified, and those before it back to `expected_head`. Errors: kBusy (another log has the
  // folder), kRolledBack (it lacks what is expected, or is another log), kDataCorrupt (the log does
  // not hold together, or somebody else has added to it what nobody vouches for: see ReadTail; the
  // message names the record), kNotSupported (the filesystem cannot set
  // space aside), kResourceExhausted (no space for the record of a beginning or a repair), kIo.
  // `clock` outlives the log; `rng` is needed for a log's beginning only.
  static Result<Log> Open(const std::filesystem::path& folder, const Clock& clock, Rng& rng,
                          const Options& options);
  static Result<Log> Open(std::unique_ptr<Storage> storage, const Clock& clock, Rng& rng,
                          const Options& options);

  // On disk when it returns. After an error the event counts as not written, and is not in the
  // file. Errors: kInvalidArgument (an event that the log writes itself, or wrong details),
  // kResourceExhausted (nothing but the reserve is left; the first time, the log notes that in an
  // audit.full), kIo.
  Result<void> Append(const Event& event);
  // The same for what has happened already and cannot be refused, as the ends of sessions: all of
  // them with one sync, or none. They may use the reserve, which fills up again by itself once
  // there is space.
  Result<void> AppendReserved(std::span<const Event> events);
  Result<void> AppendReserved(const Event& event) { return AppendReserved(std::span(&event, 1)); }
  // Whether an Append would find space just now; sets that aside. Errors: kResourceExhausted (as
  // Append tells it), kIo.
  Result<void> CheckRoom() { return MakeRoom(); }
  // `listener` gets each line, without its newline, once it is on disk. It may not call the log.
  void OnLine(std::function<void(std::string_view)> listener) { listener_ = std::move(listener); }
  // `listener` gets the last record of what was written together, once all of it is on disk, and
  // before the lines are given out. It may not call the log.
  void OnHead(std::function<void(const Head&)> listener) { head_listener_ = std::move(listener); }

  // What to sign so that the signature answers for every record so far; nothing when the last
  // checkpoint already does. A later message takes the place of this one.
  std::optional<Bytes> CheckpointMessage();
  // Records the signature of the last message. Events may have come between, up to
  // kMaxCheckpointLag - 1. Errors: kWrongState (no message waits for a signature; or too many
  // events have come, and a new message is needed), kAuthenticationFailed (it does not verify),
  // and those of Append.
  Result<void> AddCheckpoint(ByteView signature, const PublicKey& key);
  bool CheckpointDue() const;

  // Removes whole old segments beyond the limits, as far as a checkpoint answers for them and
  // another begins the rest, and records that first. For their age, only after kClockProof of a
  // clock that nobody set meanwhile. To be called after AddCheckpoint. `keep_head`, called in
  // between, has the last record known elsewhere, durably: the next Open believes no retention
  // after what it expects. Errors: kResourceExhausted, kIo, those of `keep_head`; what is left over
  // goes the next time.
  Result<Removal> Retain(const std::function<Result<void>()>& keep_head);

  // The last record.
  const Head& head() const { return last_.head; }
  const LogId& id() const { return id_; }
  // The last record that a checkpoint of this log is known to answer for; 0: none is known.
  uint64_t signed_through() const { return signed_through_; }
  // Nothing but the reserve is left.
  bool full() const { return full_; }
  // First records of its segments, and bytes in each; oldest first.
  std::vector<std::pair<uint64_t, uint64_t>> Segments() const;

 private:
  enum class Space : uint8_t { kAhead, kReserve };
  struct Position {
    Head head{};
    WallTime time;
  };
  struct Moment {
    WallTime wall;
    MonotonicTime monotonic;
  };

  Log(std::unique_ptr<Storage> storage, const Clock& clock, const Limits& limits)
      : storage_(std::move(storage)),
        clock_(&clock),
        limits_(limits),
        since_{.wall = clock.Now(), .monotonic = clock.Monotonic()} {}

  Result<void> Begin(Rng& rng);
  Result<void> GoOn(Tail tail);

  // Gives a record its place after `last`, which is then its own. Gives its line.
  std::string PlaceAfter(Position& last, Record& record) const;
  // At least one, and one alone if it is a checkpoint.
  Result<void> Add(std::vector<Record> records, Space space);
  void Tell(std::string_view lines) const;
  Result<void> AddNote(EventKind kind, std::vector<Record::Detail> detail = {});
  // What an Append and an AppendReserved have in common.
  Result<void> AppendTo(Space space, std::span<const Event> events);
  // Sets the reserve aside and room before it; tells once that this fails, and once that it does
  // again.
  Result<void> MakeRoom();
  Result<void> BeginSegment();
  // Where there is no space for a new segment, the old one goes on.
  Result<void> BeginSegmentIf(bool due);
  bool SegmentIsOld() const;
  // Begins anew with the proof of a clock that was set.
  bool ClockIsProved();
  Removal ToRemove();
  Result<void> RemoveBefore(uint64_t first_kept);

  std::unique_ptr<Storage> storage_;
  const Clock* clock_;
  Limits limits_;
  Moment since_;  // nobody has set the wall clock
  LogId id_{};
  Position last_;
  std::vector<Segment> segments_;  // oldest first; writer_ knows the size of the last
  std::unique_ptr<SegmentWriter> writer_;
  std::optional<Head> to_sign_;
  uint64_t signed_through_ = 0;  // 0: not known
  uint64_t unsigned_records_ = 0;
  uint64_t first_kept_ = 0;  // of the last retention record
  bool full_ = false;        // and that is noted
  std::function<void(std::string_view)> listener_;
  std::function<void(const Head&)> head_listener_;
};

}  // namespace keyward::audit
