#include "keyd/live_session.h"

#include <algorithm>
#include <utility>

namespace keyward {

std::string_view Name(SessionState state) {
  switch (state) {
    case SessionState::kHandshake:
      return "handshake";
    case SessionState::kEstablished:
      return "established";
    case SessionState::kClosed:
      return "closed";
  }
  return "unknown";
}

void LiveSession::Step(Bytes input, const StepDone& done) {
  auto self = shared_from_this();
  const Result<void> queued = info_.key->WithSigner(
      info_.caller.uid, [self, input = std::move(input), done](Result<SignFunction> sign) {
        if (!sign) return done(Fail(sign.error()));
        Result<session::StepResult> result = self->StepNow(input, *sign);
        const std::optional<Error> failure =
            result ? std::nullopt : std::optional<Error>(result.error());
        done(std::move(result));  // the answer first: the end closes the channel
        if (failure && self->state() == SessionState::kHandshake) self->End(*failure);
      });
  if (!queued) done(Fail(queued.error()));
}

Result<session::StepResult> LiveSession::StepNow(ByteView input,
                                                 const session::SignTranscript& sign) {
  const std::lock_guard lock(engine_mutex_);
  KEYWARD_TRY(CheckOpen());
  Result<session::StepResult> result = engine_->Step(input, sign);
  if (result && result->established) {
    // Not over the end that may have come while the key was signing.
    SessionState handshake = SessionState::kHandshake;
    state_.compare_exchange_strong(handshake, SessionState::kEstablished);
  }
  KEYWARD_TRY(CheckOpen());
  return result;
}

Result<void> LiveSession::Seal(ByteView plaintext, std::string_view metadata, Bytes& frame) {
  KEYWARD_TRY(CheckEstablished());
  const std::lock_guard lock(engine_mutex_);
  KEYWARD_TRY(CheckOpen());
  KEYWARD_TRY(engine_->Seal(plaintext, metadata, frame));
  const std::lock_guard state_lock(mutex_);
  ++counters_.sealed;
  counters_.bytes_sealed += plaintext.size();
  return {};
}

Result<void> LiveSession::Open(ByteView frame, Bytes& plaintext, std::string& metadata) {
  KEYWARD_TRY(CheckEstablished());
  const std::lock_guard lock(engine_mutex_);
  KEYWARD_TRY(CheckOpen());
  KEYWARD_TRY(engine_->Open(frame, plaintext, metadata));
  const std::lock_guard state_lock(mutex_);
  ++counters_.opened;
  counters_.bytes_opened += plaintext.size();
  return {};
}

Result<void> LiveSession::Rekey() {
  KEYWARD_TRY(CheckEstablished());
  const std::lock_guard lock(engine_mutex_);
  KEYWARD_TRY(CheckOpen());
  return engine_->Rekey();
}

void LiveSession::End(const Error& reason) {
  // Who comes second waits until the first is done: after a revocation nothing goes on.
  std::call_once(end_, [&] { EndNow(reason); });
}

void LiveSession::EndNow(const Error& reason) {
  bool in_handshake = false;
  {
    const std::lock_guard lock(mutex_);
    ended_ = reason;
    in_handshake = state_.exchange(SessionState::kClosed) == SessionState::kHandshake;
  }
  {
    // A step may wait for hardware that never answers: it wipes what it holds when it comes back.
    std::unique_lock lock(engine_mutex_, std::defer_lock);
    if (!in_handshake) lock.lock();
    if (lock.owns_lock() || lock.try_lock()) engine_.reset();
  }
  if (on_end_) on_end_(reason);
}

SessionCounters LiveSession::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

std::optional<Error> LiveSession::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

MonotonicTime LiveSession::NextDeadline() const {
  if (state_ == SessionState::kHandshake) return std::min(info_.handshake_deadline, info_.deadline);
  return info_.deadline;
}

std::chrono::seconds LiveSession::TimeLeft(MonotonicTime now) const {
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(NextDeadline() - now);
  return std::max(left, std::chrono::seconds(0));
}

Result<void> LiveSession::CheckEstablished() const {
  if (state_ == SessionState::kHandshake) {
    return Fail(ErrorCode::kWrongState, "the handshake is not finished");
  }
  return {};
}

Result<void> LiveSession::CheckOpen() {
  const std::lock_guard lock(mutex_);
  if (!ended_) return {};
  engine_.reset();
  return Fail(*ended_);
}

}  // namespace keyward
