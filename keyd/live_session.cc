#include "keyd/live_session.h"

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

void LiveSession::Step(Bytes input, StepDone done) {
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
  const std::lock_guard lock(mutex_);
  KEYWARD_TRY(CheckOpen());
  KEYWARD_ASSIGN(session::StepResult result, engine_->Step(input, sign));
  if (result.established) state_ = SessionState::kEstablished;
  return result;
}

Result<void> LiveSession::Seal(ByteView plaintext, std::string_view metadata, Bytes& frame) {
  const std::lock_guard lock(mutex_);
  KEYWARD_TRY(CheckOpen());
  KEYWARD_TRY(engine_->Seal(plaintext, metadata, frame));
  ++counters_.sealed;
  counters_.bytes_sealed += plaintext.size();
  return {};
}

Result<void> LiveSession::Open(ByteView frame, Bytes& plaintext, std::string& metadata) {
  const std::lock_guard lock(mutex_);
  KEYWARD_TRY(CheckOpen());
  KEYWARD_TRY(engine_->Open(frame, plaintext, metadata));
  ++counters_.opened;
  counters_.bytes_opened += plaintext.size();
  return {};
}

Result<void> LiveSession::Rekey() {
  const std::lock_guard lock(mutex_);
  KEYWARD_TRY(CheckOpen());
  return engine_->Rekey();
}

void LiveSession::End(Error reason) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    engine_.reset();
    ended_ = reason;
    state_ = SessionState::kClosed;
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

Result<void> LiveSession::CheckOpen() const {
  if (ended_) return Fail(*ended_);
  return {};
}

}  // namespace keyward
