// Every change of what is stored, one after the other, and confirmed by hardware.
//
// An old copy of the store is as authentic as the latest one. What tells them apart is its epoch,
// which a counter in hardware follows: a commit writes epoch n+1 to disk, then has the counter
// count to n+1, and only then is the change said to be done. At start the two are equal, or the
// store is one ahead of a crash in between; an older store is refused. Every start advances both,
// so that a copy from within that moment cannot come back later either.
//
// What a change does is in the audit log before it is in the store: the same transaction writes
// down how far the log had come, so that a log which lacks records is found out. A change that
// cannot be told is not made.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "keyd/audit_trail.h"
#include "keyd/store.h"

namespace keyward {

// Belongs to the bus thread.
class Journal : public std::enable_shared_from_this<Journal> {
 public:
  struct Outcome {
    bool written;         // on disk, and will be found by the next start
    Result<void> result;  // an error beside `written`: an old copy could still take its place
  };
  using Done = std::function<void(const Outcome&)>;
  // Brings the counter to `epoch`, from the value below or from that value itself; calls back once,
  // here or later on this thread. Errors: kRolledBack (it is elsewhere), the custodian's.
  using Confirm = std::function<void(uint64_t epoch, std::function<void(Result<void>)>)>;

  using Event = std::optional<audit::Event>;  // nothing: the change is none that is told

  // `owed`: a crash left the store one ahead of the counter. `trail` is open.
  Journal(Store& store, AuditTrail& trail, Confirm confirm, bool owed)
      : store_(store), trail_(trail), confirm_(std::move(confirm)), owed_(owed) {}

  // A lifecycle event, told as `event`. Nothing is written while hardware has yet to confirm what
  // was written before. `done` is called once. When it comes to nothing, or is not confirmed, that
  // is told too (detail "written": whether it is on disk).
  void Commit(Store::Change change, Event event, Done done);
  // The same for what must not wait, such as revocations: written before this returns, whatever the
  // hardware is at, whatever waits, even if it cannot be told, and on a full disk in the space that
  // is set aside.
  void CommitRegardless(Store::Change change, Event event, Done done);
  // What may be lost without harm; confirmed by nobody. Errors: the store's.
  Result<void> Note(const Store::Change& change);
  // A commit whose last step failed may be whole on disk all the same, and the next start would
  // take it for one that held. Another commit takes its place. Errors: the store's.
  Result<void> Settle();
  // The hardware serves again: confirms what it owes.
  void Resume();
  // Writes down how far the audit log has come, when that has changed. Errors: the store's.
  Result<void> NoteAuditHead();
  // Of the last change that was written.
  uint64_t epoch() const { return store_.epoch(); }
  // Whether hardware has still to confirm what was written last.
  bool owed() const { return owed_; }
  // Nothing is written any more; what waits is told kSealed. To be called before the store or
  // whatever changes refer to goes.
  void Stop();

  AuditTrail& trail() { return trail_; }

 private:
  // What becomes of a change that cannot be told. One that holds may use the store's reserve.
  enum class Untold : uint8_t { kIsRefused, kHolds };
  struct Entry {
    Store::Change change;
    Event event;
    Untold untold;
    Done done;
    bool told = false;  // the record of it is written
  };

  // The change, and the record of it, as one change.
  Result<void> WriteTold(Entry& entry, Store::Epoch epoch);
  Result<void> Tell(Entry& entry, StoreWriter& store);
  void TellFailure(const Entry& entry, const Outcome& outcome);
  void End(const Entry& entry, const Outcome& outcome);
  void Push(Entry entry);
  void Next();
  void Write();
  void ConfirmOwed();
  // Runs `then` when the counter has come to the store's epoch, or failed to.
  void AwaitCounter(const std::function<void(const Result<void>&)>& then);
  // Ends the entry that is worked on.
  void Finish(const Outcome& outcome);

  Store& store_;
  AuditTrail& trail_;
  const Confirm confirm_;
  std::deque<Entry> queue_;
  std::optional<Entry> current_;
  bool current_is_written_ = false;
  bool owed_;  // the store is ahead of the counter
  bool stopped_ = false;
  uint64_t noted_head_ = 0;
};

// What whoever asked for a change is told: of one that holds once it is written, and of one that
// holds whatever becomes of it, and is tried again by who made it.
Result<void> ToldOfWritten(const Journal::Outcome& outcome);
Result<void> ToldOfHolding(const Journal::Outcome& outcome);

}  // namespace keyward
