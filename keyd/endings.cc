#include "keyd/endings.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "keyd/audit_events.h"

namespace keyward {
namespace {

constexpr size_t kAtOnce = 64;

template <class T>
std::deque<T> TakeFirst(std::deque<T>& queue) {
  const auto end = queue.begin() + static_cast<ptrdiff_t>(std::min(queue.size(), kAtOnce));
  std::deque<T> first(std::make_move_iterator(queue.begin()), std::make_move_iterator(end));
  queue.erase(queue.begin(), end);
  return first;
}

}  // namespace

void Endings::Note(std::shared_ptr<const LiveSession> session, std::weak_ptr<Channel> channel) {
  {
    const std::lock_guard lock(mutex_);
    noted_.sessions.emplace_back(std::move(session), std::move(channel));
  }
  Post();
}

void Endings::Note(audit::Event event) {
  {
    const std::lock_guard lock(mutex_);
    noted_.events.push_back(std::move(event));
  }
  Post();
}

void Endings::Record() {
  while (RecordSome()) {
  }
}

void Endings::Post() {
  if (!posted_.exchange(true)) daemon_.post([this] { TellSome(); });
}

void Endings::TellSome() {
  posted_ = false;
  const bool recorded = RecordSome();
  for (const Ended& each : TakeFirst(recorded_)) {
    const Error reason = *each.session->ended();
    if (const std::shared_ptr<Channel> open = each.channel.lock()) open->Close(reason);
    if (session_ended_) session_ended_(each.session->info().id, reason);
  }
  if (recorded || !recorded_.empty()) Post();
}

bool Endings::RecordSome() {
  Noted some = TakeSome();
  std::vector<audit::Event> events(std::make_move_iterator(some.events.begin()),
                                   std::make_move_iterator(some.events.end()));
  for (Ended& each : some.sessions) {
    events.push_back(keyward::SessionEnded(each.session->info(), each.session->counters(),
                                           *each.session->ended()));
    recorded_.push_back(std::move(each));
  }
  daemon_.audit.RecordDone(events);
  return !events.empty();
}

Endings::Noted Endings::TakeSome() {
  const std::lock_guard lock(mutex_);
  return {.sessions = TakeFirst(noted_.sessions), .events = TakeFirst(noted_.events)};
}

}  // namespace keyward
