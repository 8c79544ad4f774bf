// One session as the daemon runs it: an engine, whom it belongs to, and when it ends.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "keyd/boot.h"
#include "keyd/key_version.h"
#include "policy/policy.h"
#include "session/engine.h"

namespace keyward {

enum class SessionState : uint8_t { kHandshake = 1, kEstablished = 2, kClosed = 3 };

// "handshake", "established", "closed"
std::string_view Name(SessionState state);

struct SessionInfo {
  uint64_t id;
  policy::Caller caller;  // who opened it; no other user may touch it
  std::string module;
  std::shared_ptr<KeyVersion> key;
  std::string peer;
  std::vector<KeyId> peer_keys;  // versions that the peer may prove itself with, when kept here too
  std::string protocol;
  session::Role role;
  MonotonicTime handshake_deadline;
  MonotonicTime deadline;
  BootName boot = {};  // in which it was opened
};

struct SessionCounters {
  uint64_t sealed = 0;  // messages
  uint64_t opened = 0;
  uint64_t bytes_sealed = 0;  // of plaintext
  uint64_t bytes_opened = 0;
};

// Any thread may call; operations on one session are serial. Errors of every operation: the
// engine's, and kSessionClosed, kRevoked or kExpired once it has ended, with the reason.
class LiveSession : public std::enable_shared_from_this<LiveSession> {
 public:
  using StepDone = std::function<void(Result<session::StepResult>)>;

  LiveSession(SessionInfo info, std::unique_ptr<session::Engine> engine)
      : info_(std::move(info)), engine_(std::move(engine)) {}

  // A handshake may need the identity key, so its step runs where that key signs; `done` is called
  // there, once. A failed step ends a session whose handshake is not over.
  void Step(Bytes input, const StepDone& done);
  Result<void> Seal(ByteView plaintext, std::string_view metadata, Bytes& frame);
  Result<void> Open(ByteView frame, Bytes& plaintext, std::string& metadata);
  Result<void> Rekey();

  // Wipes the keys, then tells whoever listens. Later calls change nothing, but return when that is
  // done. Waits for no hardware: a handshake's step that is under way yields nothing and wipes its
  // ephemeral key itself.
  void End(const Error& reason);
  // Called once when the session ends, on the thread that ends it, after its keys are gone. Set
  // before the session is shared.
  void OnEnd(std::function<void(const Error&)> listener) { on_end_ = std::move(listener); }

  const SessionInfo& info() const { return info_; }
  SessionState state() const { return state_; }
  SessionCounters counters() const;
  // The reason, once closed.
  std::optional<Error> ended() const;
  // The next moment at which it has to end: of the handshake, then of the session.
  MonotonicTime NextDeadline() const;
  // Until then; none once that is over, be the session ended already or not.
  std::chrono::seconds TimeLeft(MonotonicTime now) const;

 private:
  Result<session::StepResult> StepNow(ByteView input, const session::SignTranscript& sign);
  void EndNow(const Error& reason);
  Result<void> CheckEstablished() const;
  // With engine_mutex_ held. Wipes what an End that did not wait has left.
  Result<void> CheckOpen();

  const SessionInfo info_;
  std::function<void(const Error&)> on_end_;
  std::mutex engine_mutex_;  // held while the engine works; taken before mutex_
  std::unique_ptr<session::Engine> engine_;
  std::once_flag end_;
  mutable std::mutex mutex_;  // of what follows; never held for long
  std::optional<Error> ended_;
  SessionCounters counters_;
  std::atomic<SessionState> state_ = SessionState::kHandshake;
};

}  // namespace keyward
