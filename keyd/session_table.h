// The live sessions, and how they end.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "keyd/live_session.h"

namespace keyward {

// Any thread may call. The table forgets a session when it ends.
class SessionTable {
 public:
  using Predicate = std::function<bool(const SessionInfo&)>;

  uint64_t NextId();
  // Errors: kResourceExhausted when the module has `max_sessions` already.
  Result<void> Add(std::shared_ptr<LiveSession> session, uint32_t max_sessions);
  // To be called when a session has ended, by whatever way.
  void Remove(uint64_t id);

  std::shared_ptr<LiveSession> Find(uint64_t id) const;
  std::vector<std::shared_ptr<LiveSession>> All() const;
  size_t size() const;
  size_t CountOf(std::string_view module) const;

  // Ends every session that `which` selects, keys wiped and channels closed before it returns.
  // Gives their number.
  uint32_t EndWhere(const Predicate& which, const Error& reason);
  // Ends what is past its time; gives the next deadline, if any.
  std::optional<MonotonicTime> EndExpired(MonotonicTime now);

 private:
  mutable std::mutex mutex_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, std::shared_ptr<LiveSession>> sessions_;
  std::map<std::string, uint32_t, std::less<>> per_module_;
  std::set<std::pair<MonotonicTime, uint64_t>> deadlines_;
};

}  // namespace keyward
