#include "keyd/journal.h"

#include <utility>

namespace keyward {
namespace {

Error SealedMeanwhile() {
  return {ErrorCode::kSealed, "the service was sealed before this was confirmed"};
}

}  // namespace

void Journal::Commit(Store::Change change, Done done) {
  Push({std::move(change), std::move(done)});
}

void Journal::CommitRegardless(Store::Change change, Done done) {
  if (!current_ && !owed_) return Commit(std::move(change), std::move(done));
  // In the epoch that is not confirmed yet; a commit of a further one confirms it.
  const Result<void> written =
      stopped_ ? Fail(SealedMeanwhile()) : store_.Commit(change, Store::Epoch::kStays);
  if (!written) return done({false, written});
  Commit([](StoreWriter&) -> Result<void> { return {}; },
         [done = std::move(done)](const Outcome& outcome) { done({true, outcome.result}); });
}

Result<void> Journal::Note(const Store::Change& change) {
  return store_.Commit(change, Store::Epoch::kStays);
}

void Journal::Resume() {
  if (!owed_ || current_) return;
  // A commit of its own, since changes written meanwhile share the epoch that is confirmed first.
  Commit([](StoreWriter&) -> Result<void> { return {}; }, [](const Outcome&) {});
}

void Journal::Stop() {
  stopped_ = true;
  std::deque<Entry> waiting = std::exchange(queue_, {});
  if (current_) Finish({current_is_written_, Fail(SealedMeanwhile())});
  for (const Entry& entry : waiting) entry.done({false, Fail(SealedMeanwhile())});
}

void Journal::Push(Entry entry) {
  if (stopped_) return entry.done({false, Fail(SealedMeanwhile())});
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
  const Result<void> written = store_.Commit(current_->change, Store::Epoch::kAdvances);
  if (!written) return Finish({false, written});
  current_is_written_ = true;
  owed_ = true;
  AwaitCounter([this](const Result<void>& confirmed) { Finish({true, confirmed}); });
}

void Journal::Finish(const Outcome& outcome) {
  const std::shared_ptr<Journal> self = shared_from_this();  // `done` may seal the service
  const Entry entry = *std::exchange(current_, std::nullopt);
  entry.done(outcome);
  Next();
}

}  // namespace keyward
