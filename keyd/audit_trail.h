// The audit log as keyd's parts write to it: open while the service is unsealed.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "audit/log.h"
#include "keyd/audit_tail.h"
#include "keyd/refusal_limiter.h"

namespace keyward {

// Belongs to the bus thread. An event that cannot be written counts as unrecorded, and the next one
// that can be says how many there were (detail "unrecorded").
class AuditTrail {
 public:
  // Gets each line of the log, without its newline, once it is on disk.
  using Listener = std::function<void(std::string_view line)>;

  // Both outlive the trail.
  AuditTrail(const Clock& clock, Rng& rng) : clock_(clock), rng_(rng) {}

  // Goes on with the log of `storage`, or begins one, and tells what happened while it was closed,
  // which it has to be. Errors: those of audit::Log::Open.
  Result<void> Open(std::unique_ptr<audit::Storage> storage, const audit::Log::Options& options);
  // Has `file` follow the log that is open. One that cannot be written is told once, and holds
  // nothing up: the log itself is on disk, and is whole with an older tail as well. `there`: one of
  // this log is on disk in any case.
  void KeepTail(Result<AuditTailFile> file, bool there);
  // Whether the tail on disk names the last record now, even after a power cut.
  bool SyncTail();
  // Wipes the key of the tail. The log stays open: what is recorded from here on comes after the
  // end that the tail names.
  void EndTail();
  // Wipes the key of the tail, too.
  void Close();
  bool is_open() const { return log_ != nullptr; }
  // Whether the log is to be refused without its tail when it is opened next.
  bool has_tail() const { return has_tail_; }

  // On disk when it returns; only then may go on what it tells of. Errors: kSealed (the log is
  // closed), kResourceExhausted, kIo.
  Result<void> Record(const audit::Event& event);
  // The same for what must not be held up by a full disk. Errors: kSealed, kIo, kResourceExhausted
  // (even the reserve is used up).
  Result<void> RecordReserved(const audit::Event& event);
  // What has happened already, and goes on whether it can be told or not: all of it with one sync.
  // While the log is closed, a few such events wait for it.
  void RecordDone(std::span<const audit::Event> events);
  void RecordDone(const audit::Event& event) { RecordDone(std::span(&event, 1)); }
  // Record; while the log is closed, what is to be done can go on once the event waits for it.
  // Errors: those of Record but for kSealed; kResourceExhausted (too many wait).
  Result<void> RecordOrWait(const audit::Event& event);
  // The same for what changes nothing: while the log is closed, it leaves room for what does, and
  // is counted where there is none. Errors: those of Record but for kSealed.
  Result<void> RecordOrCount(const audit::Event& event);
  // What was asked for and came to nothing, because of `why`; see RefusalLimiter. While the log is
  // closed, some of them wait for it and the rest is counted: whoever is refused leaves room for
  // what admins do.
  void RecordRefusal(const audit::Event& event, const Error& why);
  // Whether Record would find space, before hardware does what must be told afterwards. Errors:
  // those of Record.
  Result<void> CheckRoom();

  // Tells what the limiter has counted in minutes that are over, and syncs the log's tail, so that
  // a power cut leaves a late one. To be called every few seconds.
  void Tick();
  // Tells all that it has counted.
  void Flush() { Summarise(true); }
  // Both at once; `closed` is called when the log closes.
  void OnLine(Listener line, std::function<void()> closed) {
    on_line_ = std::move(line);
    on_closed_ = std::move(closed);
  }

  // Null while it is closed.
  audit::Log* log() { return log_.get(); }
  const audit::Log* log() const { return log_.get(); }
  // Events that are in no record, and not yet told by one.
  uint64_t unrecorded() const { return unrecorded_; }

 private:
  static constexpr size_t kMaxWaiting = 32;
  static constexpr size_t kMaxWaitingMinor = kMaxWaiting / 2;

  audit::Event WithUnrecorded(audit::Event event) const;
  // With the log open, at least one event.
  Result<void> WriteReserved(std::span<const audit::Event> events);
  Result<void> Told(std::span<const audit::Event> events, const Result<void>& written);
  void Summarise(bool all);
  void WriteTail(const audit::Head& head);
  void TellTail(const Result<void>& written);

  const Clock& clock_;
  Rng& rng_;
  std::unique_ptr<audit::Log> log_;
  RefusalLimiter refusals_;
  std::vector<audit::Event> waiting_;  // for the log to open
  size_t waiting_minor_ = 0;           // among them: refusals, and what changes nothing
  uint64_t unrecorded_ = 0;
  std::optional<AuditTailFile> tail_;
  bool has_tail_ = false;
  bool tail_fails_ = false;  // and that is told
  Listener on_line_;
  std::function<void()> on_closed_;
};

}  // namespace keyward
