#include "keyd/session_table.h"

#include <algorithm>

namespace keyward {

uint64_t SessionTable::NextId() {
  const std::lock_guard lock(mutex_);
  return next_id_++;
}

Result<void> SessionTable::Add(std::shared_ptr<LiveSession> session, uint32_t max_sessions) {
  const std::lock_guard lock(mutex_);
  uint32_t& count = per_module_[session->info().module];
  if (count >= max_sessions) {
    return Fail(Error(ErrorCode::kResourceExhausted,
                      "the module has as many sessions as its policy allows; close some")
                    .WithAction(Action::kRetryLater));
  }
  ++count;
  deadlines_.emplace(session->NextDeadline(), session->info().id);
  sessions_.emplace(session->info().id, std::move(session));
  return {};
}

void SessionTable::Remove(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const SessionInfo& info = found->second->info();
  const auto count = per_module_.find(info.module);
  if (--count->second == 0) per_module_.erase(count);
  deadlines_.erase({info.deadline, id});
  deadlines_.erase({std::min(info.deadline, info.handshake_deadline), id});
  sessions_.erase(found);
}

std::shared_ptr<LiveSession> SessionTable::Find(uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<LiveSession>> SessionTable::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<LiveSession>> all;
  all.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) all.push_back(session);
  return all;
}

size_t SessionTable::size() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

size_t SessionTable::CountOf(std::string_view module) const {
  const std::lock_guard lock(mutex_);
  const auto found = per_module_.find(module);
  return found == per_module_.end() ? 0 : found->second;
}

uint32_t SessionTable::EndWhere(const Predicate& which, const Error& reason) {
  uint32_t ended = 0;
  for (const std::shared_ptr<LiveSession>& session : All()) {
    if (!which(session->info())) continue;
    session->End(reason);
    ++ended;
  }
  return ended;
}

std::optional<MonotonicTime> SessionTable::EndExpired(MonotonicTime now) {
  std::vector<std::shared_ptr<LiveSession>> due;
  std::optional<MonotonicTime> next;
  {
    const std::lock_guard lock(mutex_);
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      const uint64_t id = deadlines_.begin()->second;
      deadlines_.erase(deadlines_.begin());
      const std::shared_ptr<LiveSession>& session = sessions_.at(id);
      if (session->NextDeadline() <= now) {
        due.push_back(session);
      } else {
        deadlines_.emplace(session->NextDeadline(), id);  // the handshake was done in time
      }
    }
    if (!deadlines_.empty()) next = deadlines_.begin()->first;
  }
  for (const std::shared_ptr<LiveSession>& session : due) {
    const bool handshake = session->state() == SessionState::kHandshake;
    session->End(Error(ErrorCode::kExpired, handshake ? "the handshake took too long"
                                                      : "the session reached its timeout"));
  }
  return next;
}

}  // namespace keyward
