#include "keyd/journal.h"

#include <utility>

#include "keyd/audit_events.h"

namespace keyward {
namespace {

Error SealedMeanwhile() {
  return {ErrorCode::kSealed, "the service was sealed before this was confirmed"};
}

// The same error, with what holds in spite of it.
Error Because(const char* what, const Error& why) {
  return Error(why.code(), what + why.message()).WithAction(why.action()).WithCause(why.cause());
}

Result<void> NoChange(StoreWriter& /*store*/) { return {}; }

}  // namespace

Result<void> ToldOfWritten(const Journal::Outcome& outcome) {
  if (!outcome.written || outcome.result) return outcome.result;
  return Fail(
      Because("done, but until the hardware's counter confirms it, an old copy of the state "
              "could undo it: ",
              outcome.result.error()));
}

Result<void> ToldOfHolding(const Journal::Outcome& outcome) {
  if (outcome.written || outcome.result) return ToldOfWritten(outcome);
  return Fail(
      Because("done, but not written: keyd tries again, and until then it holds only as long "
              "as keyd runs: ",
              outcome.result.error()));
}

void Journal::Commit(Store::Change change, Event event, Done done) {
  Push({std::move(change), std::move(event), Untold::kIsRefused, std::move(done)});
}

void Journal::CommitRegardless(Store::Change change, Event event, Done done) {
  Entry entry{std::move(change), std::move(event), Untold::kHolds, std::move(done)};
  if (!current_ && !owed_ && !stopped_) {
    queue_.push_front(std::move(entry));  // what waits goes on once whoever calls has returned
    return Next();
  }
  // In the epoch that is not confirmed yet; a commit of a further one confirms it.
  const Result<void> written =
      stopped_ ? Fail(SealedMeanwhile()) : WriteTold(entry, Store::Epoch::kStays);
  if (!written) return End(entry, {false, written});
  Push({NoChange, std::nullopt, Untold::kHolds,
        [this, entry](const Outcome& outcome) { End(entry, {true, outcome.result}); }});
}

Result<void> Journal::Tell(Entry& entry, StoreWriter& store) {
  if (entry.event && entry.untold == Untold::kHolds) {
    if (!entry.told) trail_.RecordDone(*entry.event);
  } else if (entry.event) {
    KEYWARD_TRY(trail_.Record(*entry.event));
  }
  entry.told = true;
  return trail_.is_open() ? store.PutAuditHead(trail_.log()->head(), trail_.has_tail())
                          : Result<void>();
}

Result<void> Journal::WriteTold(Entry& entry, Store::Epoch epoch) {
  const auto change = [this, &entry](StoreWriter& store) -> Result<void> {
    KEYWARD_TRY(entry.change(store));
    return Tell(entry, store);
  };
  KEYWARD_TRY(entry.untold == Untold::kHolds ? store_.CommitFromReserve(change, epoch)
                                             : store_.Commit(change, epoch));
  if (trail_.is_open()) noted_head_ = trail_.log()->head().seq;
  return {};
}

void Journal::TellFailure(const Entry& entry, const Outcome& outcome) {
  if (!entry.event || outcome.result) return;
  if (!entry.told) return trail_.RecordRefusal(*entry.event, outcome.result.error());
  audit::Event failure = Failed(*entry.event, outcome.result.error());
  if (failure.detail.size() < audit::kMaxDetails) {
    failure.detail.push_back({"written", uint64_t{outcome.written}});
  }
  trail_.RecordDone(failure);
}

void Journal::End(const Entry& entry, const Outcome& outcome) {
  TellFailure(entry, outcome);
  entry.done(outcome);
}

Result<void> Journal::NoteAuditHead() {
  if (!trail_.is_open() || trail_.log()->head().seq == noted_head_) return {};
  const audit::Head head = trail_.log()->head();
  KEYWARD_TRY(Note(
      [this, &head](StoreWriter& store) { return store.PutAuditHead(head, trail_.has_tail()); }));
  noted_head_ = head.seq;
  return {};
}

Result<void> Journal::Note(const Store::Change& change) {
  return store_.Commit(change, Store::Epoch::kStays);
}

Result<void> Journal::Settle() { return Note(NoChange); }

void Journal::Resume() {
  if (!owed_ || current_) return;
  // A commit of its own, since changes written meanwhile share the epoch that is confirmed first.
  Commit(NoChange, std::nullopt, [](const Outcome&) {});
}

void Journal::Stop() {
  stopped_ = true;
  std::deque<Entry> waiting = std::exchange(queue_, {});
  if (current_) Finish({current_is_written_, Fail(SealedMeanwhile())});
  for (const Entry& entry : waiting) End(entry, {false, Fail(SealedMeanwhile())});
}

void Journal::Push(Entry entry) {
  if (stopped_) return End(entry, {false, Fail(SealedMeanwhile())});
  queue_.push_back(std::move(entry));
  Next();
}

void Journal::Next() {
  if (current_ || queue_.empty()) return;
  current_ = std::move(queue_.front());
  current_is_written_ = false;
  queue_.pop_front();
  if (owed_) {
    ConfirmOwed();
  } else {
    Write();
  }
}

void Journal::AwaitCounter(const std::function<void(const Result<void>&)>& then) {
  confirm_(store_.epoch(), [weak = weak_from_this(), then](const Result<void>& confirmed) {
    const std::shared_ptr<Journal> self = weak.lock();
    if (self == nullptr || self->stopped_) return;
    if (confirmed) self->owed_ = false;
    then(confirmed);
  });
}

void Journal::ConfirmOwed() {
  AwaitCounter([this](const Result<void>& confirmed) {
    if (confirmed) return Write();
    Finish({false, confirmed});
  });
}

void Journal::Write() {
  const Result<void> written = WriteTold(*current_, Store::Epoch::kAdvances);
  if (!written) return Finish({false, written});
  current_is_written_ = true;
  owed_ = true;
  AwaitCounter([this](const Result<void>& confirmed) { Finish({true, confirmed}); });
}

void Journal::Finish(const Outcome& outcome) {
  const std::shared_ptr<Journal> self = shared_from_this();  // `done` may seal the service
  const Entry entry = *std::exchange(current_, std::nullopt);
  End(entry, outcome);
  Next();
}

}  // namespace keyward
