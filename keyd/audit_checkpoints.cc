#include "keyd/audit_checkpoints.h"

#include <utility>

#include "keyd/log.h"

namespace keyward {
namespace {

constexpr std::chrono::seconds kRetry{60};

}  // namespace

void AuditCheckpoints::Tick() {
  if (!trail_.is_open() || signing_) return;
  const MonotonicTime now = clock_.Monotonic();
  const bool due = now >= next_ ? HasUnsigned() : trail_.log()->CheckpointDue();
  if (!due || now < retry_) return;
  retry_ = now + kRetry;  // hardware may be away
  Sign([](const Result<void>& done) {
    if (!done) LogError("signing the audit log", done.error());
  });
}

bool AuditCheckpoints::HasUnsigned() const {
  // The last record may be the checkpoint itself.
  return trail_.is_open() && trail_.log()->signed_through() + 1 < trail_.log()->head().seq;
}

void AuditCheckpoints::Sign(const Done& done) {
  if (!trail_.is_open()) return done(Fail(ErrorCode::kSealed, "the service was sealed"));
  if (signing_) {
    return done(Fail(Error(ErrorCode::kBusy, "the audit log is being signed").WithRetryAfter(100)));
  }
  std::optional<Bytes> message = trail_.log()->CheckpointMessage();
  if (!message) return done({});
  signing_ = true;
  key_.Sign(std::move(*message),
            [weak = std::weak_ptr(self_), done](const Result<ServiceKey::Signed>& made) {
              const std::shared_ptr<AuditCheckpoints*> self = weak.lock();
              if (self == nullptr) return done(Fail(ErrorCode::kSealed, "the service was sealed"));
              (*self)->signing_ = false;
              done(made ? (*self)->Take(*made) : Result<void>(Fail(made.error())));
            });
}

Result<void> AuditCheckpoints::Take(const ServiceKey::Signed& made) {
  if (!trail_.is_open()) return Fail(ErrorCode::kSealed, "the service was sealed");
  KEYWARD_TRY(trail_.log()->AddCheckpoint(made.signature, made.key));
  next_ = clock_.Monotonic() + interval_;
  retry_ = clock_.Monotonic();
  KEYWARD_ASSIGN(const audit::Log::Removal removed,
                 trail_.log()->Retain([this] { return KeepHead(); }));
  if (removed.segments == 0) return {};
  Log(LogLevel::kNotice, "the audit log's records before {} removed ({} files): {}",
      removed.first_kept, removed.segments,
      removed.for_age ? "they are older than audit: max_age"
                      : "there is more than audit: max_size");
  return {};
}

Result<void> AuditCheckpoints::KeepHead() {
  // The tail first: it takes no disk space, of which a removal is to make some.
  return trail_.SyncTail() ? Result<void>() : journal_.NoteAuditHead();
}

}  // namespace keyward
