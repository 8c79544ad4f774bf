// What has ended, on its way to those who are to be told: the audit log, the client, the bus.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "audit/event.h"
#include "keyd/channel.h"
#include "keyd/daemon.h"
#include "keyd/live_session.h"

namespace keyward {

// A revocation that ends thousands is answered in between: they are told of in small batches, each
// with one sync of the audit log.
class Endings {
 public:
  using SessionEnded = std::function<void(uint64_t id, const Error& reason)>;

  explicit Endings(Daemon& daemon) : daemon_(daemon) {}

  // Called on the bus thread once the end of a session is recorded.
  void OnSessionEnded(SessionEnded listener) { session_ended_ = std::move(listener); }

  // Any thread may call. `session` has ended, and `channel` refuses what comes.
  void Note(std::shared_ptr<const LiveSession> session, std::weak_ptr<Channel> channel);
  // Any thread may call; of anything else that ended.
  void Note(audit::Event event);

  // Records all that has been noted. On the bus thread.
  void Record();

 private:
  struct Ended {
    std::shared_ptr<const LiveSession> session;
    std::weak_ptr<Channel> channel;
  };
  struct Noted {
    std::deque<Ended> sessions;
    std::deque<audit::Event> events;
  };

  // A posted TellSome, unless there is one.
  void Post();
  void TellSome();
  // False when there was nothing.
  bool RecordSome();
  // The oldest, and not too many.
  Noted TakeSome();

  Daemon& daemon_;
  SessionEnded session_ended_;
  std::atomic<bool> posted_ = false;
  std::mutex mutex_;
  Noted noted_;
  std::deque<Ended> recorded_;  // the bus thread's alone
};

}  // namespace keyward
