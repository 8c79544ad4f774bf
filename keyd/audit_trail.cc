#include "keyd/audit_trail.h"

#include <tuple>
#include <utility>

#include "keyd/audit_events.h"
#include "keyd/log.h"

namespace keyward {

Result<void> AuditTrail::Open(std::unique_ptr<audit::Storage> storage,
                              const audit::Log::Options& options) {
  KEYWARD_ASSIGN(audit::Log log, audit::Log::Open(std::move(storage), clock_, rng_, options));
  log_ = std::make_unique<audit::Log>(std::move(log));
  log_->OnLine([this](std::string_view line) {
    if (on_line_) on_line_(line);
  });
  log_->OnHead([this](const audit::Head& head) { WriteTail(head); });
  waiting_minor_ = 0;
  RecordDone(std::exchange(waiting_, {}));
  return {};
}

void AuditTrail::KeepTail(Result<AuditTailFile> file, bool there) {
  has_tail_ = there || file.has_value();
  tail_fails_ = false;
  if (file) {
    tail_.emplace(std::move(*file));
  } else {
    TellTail(Fail(file.error()));
  }
}

void AuditTrail::WriteTail(const audit::Head& head) {
  if (tail_) TellTail(tail_->Write(head));
}

bool AuditTrail::SyncTail() {
  if (!tail_ || tail_fails_) return false;
  TellTail(tail_->Sync());
  return !tail_fails_;
}

void AuditTrail::TellTail(const Result<void>& written) {
  if (!written && !tail_fails_) LogError("writing where the audit log ends", written.error());
  tail_fails_ = !written;
}

void AuditTrail::EndTail() {
  SyncTail();
  tail_.reset();
}

void AuditTrail::Close() {
  if (log_ == nullptr) return;
  Flush();
  EndTail();
  has_tail_ = false;
  log_.reset();
  if (on_closed_) on_closed_();
}

void AuditTrail::Tick() {
  Summarise(false);
  SyncTail();
}

audit::Event AuditTrail::WithUnrecorded(audit::Event event) const {
  if (unrecorded_ > 0 && event.detail.size() < audit::kMaxDetails) {
    event.detail.push_back({"unrecorded", unrecorded_});
  }
  return event;
}

Result<void> AuditTrail::Told(std::span<const audit::Event> events, const Result<void>& written) {
  const audit::Event& first = events.front();
  if (written) {
    if (first.detail.size() < audit::kMaxDetails) unrecorded_ = 0;
    return {};
  }
  unrecorded_ += events.size();
  LogError("recording " + std::string(audit::Name(first.kind)) + " in the audit log",
           written.error());
  return written;
}

Result<void> AuditTrail::Record(const audit::Event& event) {
  if (log_ == nullptr) return Fail(ErrorCode::kSealed, "the service is sealed: no audit log");
  return Told({&event, 1}, log_->Append(WithUnrecorded(event)));
}

Result<void> AuditTrail::RecordReserved(const audit::Event& event) {
  if (log_ == nullptr) return Fail(ErrorCode::kSealed, "the service is sealed: no audit log");
  return WriteReserved({&event, 1});
}

Result<void> AuditTrail::WriteReserved(std::span<const audit::Event> events) {
  std::vector<audit::Event> told(events.begin(), events.end());
  told.front() = WithUnrecorded(std::move(told.front()));
  return Told(events, log_->AppendReserved(told));
}

Result<void> AuditTrail::RecordOrWait(const audit::Event& event) {
  if (log_ != nullptr) return Record(event);
  if (waiting_.size() >= kMaxWaiting) {
    return Fail(Error(ErrorCode::kResourceExhausted,
                      "the service is sealed, and too many events wait for the audit log to open: "
                      "unseal it, or start keyd anew")
                    .WithAction(Action::kAskAdmin));
  }
  RecordDone(event);
  return {};
}

Result<void> AuditTrail::RecordOrCount(const audit::Event& event) {
  if (log_ != nullptr) return Record(event);
  if (waiting_minor_ >= kMaxWaitingMinor) {
    ++unrecorded_;
    return {};
  }
  ++waiting_minor_;
  RecordDone(event);
  return {};
}

void AuditTrail::RecordDone(std::span<const audit::Event> events) {
  if (events.empty()) return;
  if (log_ != nullptr) {
    // A failure is told in keyd's log, and by the next record.
    std::ignore = WriteReserved(events);
    return;
  }
  for (const audit::Event& event : events) {
    if (waiting_.size() < kMaxWaiting) {
      waiting_.push_back(event);
    } else {
      ++unrecorded_;
    }
  }
}

void AuditTrail::RecordRefusal(const audit::Event& event, const Error& why) {
  const audit::Event failed = Failed(event, why);
  const MonotonicTime now = clock_.Monotonic();
  if (log_ == nullptr && waiting_minor_ >= kMaxWaitingMinor) {
    return refusals_.Count(failed, now);
  }
  if (!refusals_.Admit(failed, now)) return;
  if (log_ == nullptr) {
    ++waiting_minor_;
    return RecordDone(failed);
  }
  std::ignore = Record(failed);  // nothing waits for it
}

Result<void> AuditTrail::CheckRoom() {
  if (log_ == nullptr) return Fail(ErrorCode::kSealed, "the service is sealed: no audit log");
  return log_->CheckRoom();
}

void AuditTrail::Summarise(bool all) {
  if (log_ == nullptr) return;
  for (const audit::Event& event : refusals_.Summaries(clock_.Monotonic(), all)) {
    std::ignore = Record(event);  // what is not written is counted
  }
}

}  // namespace keyward
