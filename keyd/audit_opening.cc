#include "keyd/audit_opening.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "audit/directory_storage.h"
#include "core/encoding.h"
#include "core/file.h"
#include "keyd/audit_events.h"
#include "keyd/custodian_pool.h"
#include "keyd/log.h"
#include "keyd/restore_mark.h"
#include "policy/name_rules.h"

namespace keyward {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxFormer = 10'000;

Result<void> MakeFolder(const fs::path& folder) {
  if (mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return {};
  const ErrorCode code = errno == ENOSPC ? ErrorCode::kResourceExhausted : ErrorCode::kIo;
  return Fail(Error(code, "the folder of the audit log cannot be made in the state directory")
                  .WithCause(folder.string() + ": " + std::strerror(errno)));
}

audit::Log::Options OptionsOf(const policy::AuditLimits& limits) {
  audit::Log::Options options;
  options.limits.total_bytes = limits.max_size;
  options.limits.max_age = std::chrono::duration_cast<std::chrono::hours>(limits.max_age);
  options.limits.segment_bytes = limits.segment_size;
  options.limits.reserve_bytes = limits.reserve;
  return options;
}

bool IsNotTheLog(const Error& why) {
  return why.code() == ErrorCode::kRolledBack || why.code() == ErrorCode::kDataCorrupt;
}

Error WithRemedy(const Error& why) {
  if (!IsNotTheLog(why)) return why;
  return Error(why.code(), why.message() +
                               ": put back the folder 'audit' and the file 'audit-tail' that "
                               "belong to this state, or go on without what is missing: keyctl "
                               "audit restart")
      .WithAction(Action::kAskAdmin)
      .WithCause(why.cause());
}

audit::Event Restarted(const std::optional<audit::Head>& former) {
  audit::Event event = MakeEvent(audit::EventKind::kAuditRestart, kDaemonItself, "");
  if (former) {
    event.detail = {{"former_seq", former->seq},
                    {"former_head", audit::SafeText(ToHex(former->hash))}};
  }
  return event;
}

audit::Event Begun(const StoredState& state) {
  audit::Event event = MakeEvent(audit::EventKind::kServiceInit, kDaemonItself, "");
  event.detail = {{"keys", uint64_t{state.keys.size()}}};
  return event;
}

// A mark that cannot be read says that there was a restore, and no more.
Result<void> TellRestore(AuditTrail& trail, const fs::path& directory) {
  const Result<std::optional<RestoreMark>> mark = ReadRestoreMark(directory);
  if (mark && !*mark) return {};
  if (!mark) LogError("reading which backup was restored", mark.error());
  audit::Event event = MakeEvent(audit::EventKind::kBackupRestore, kDaemonItself,
                                 mark ? (*mark)->id : std::string());
  if (mark) {
    const auto created = (*mark)->created.time_since_epoch().count();
    event.detail = {{"created", static_cast<uint64_t>(created)}, {"epoch", (*mark)->epoch}};
  }
  return trail.RecordReserved(event);
}

// Whoever has signed checkpoints. A key is in the store before it signs.
std::vector<PublicKey> ServiceKeysOf(const StoredState& state) {
  std::vector<PublicKey> keys;
  for (const VersionRecord& version : state.versions) {
    if (version.key != policy::kServiceKeyName || version.spki.empty()) continue;
    if (Result<PublicKey> key = PublicKey::FromSpki(version.spki)) keys.push_back(std::move(*key));
  }
  return keys;
}

// The log that `options` expects; gives whether it has a tail on disk.
Result<bool> OpenExpected(AuditTrail& trail, const fs::path& directory, const StoredState& state,
                          const SecretBytes& tail_key, audit::Log::Options options) {
  options.expected_head = state.audit_head;
  options.signers = ServiceKeysOf(state);
  if (state.audit_tail) {
    KEYWARD_ASSIGN(options.expected_end, ReadAuditTail(directory, tail_key));
  }
  KEYWARD_ASSIGN(auto storage, audit::OpenDirectory(directory / kAuditFolder));
  KEYWARD_TRY(trail.Open(std::move(storage), options));
  return state.audit_tail;
}

// With no record or tail that has to be there.
Result<bool> OpenAny(AuditTrail& trail, const fs::path& directory,
                     const audit::Log::Options& options) {
  KEYWARD_ASSIGN(auto storage, audit::OpenDirectory(directory / kAuditFolder));
  KEYWARD_TRY(trail.Open(std::move(storage), options));
  return false;
}

// To audit-former-N; gives where that is.
Result<fs::path> MoveAway(const fs::path& directory) {
  std::error_code error;
  for (int number = 1; number < kMaxFormer; ++number) {
    fs::path former = directory / ("audit-former-" + std::to_string(number));
    if (fs::exists(fs::symlink_status(former, error))) continue;
    KEYWARD_TRY(MoveFile(directory / kAuditFolder, former));
    return former;
  }
  return Fail(ErrorCode::kResourceExhausted, "too many former audit logs: move some away");
}

// Of a log that is not the one that is known, while there is the mark: keyd was killed while it
// began another, or somebody else made the mark. Nobody vouches for its records.
Result<void> BeginAnother(const fs::path& directory) {
  KEYWARD_ASSIGN(const fs::path former, MoveAway(directory));
  Log(LogLevel::kWarning, "the audit log is not the one that is known: moved to {}",
      former.string());
  return MakeFolder(directory / kAuditFolder);
}

Result<bool> HoldsNothing(const fs::path& folder) {
  std::error_code error;
  const bool empty = fs::is_empty(folder, error);
  if (!error) return empty;
  return Fail(Error(ErrorCode::kIo, "the folder of the audit log cannot be read")
                  .WithCause(folder.string() + ": " + error.message()));
}

void KeepTail(AuditTrail& trail, const fs::path& directory, SecretBytes key, bool there) {
  const audit::End end{trail.log()->id(), trail.log()->head()};
  trail.KeepTail(there ? AuditTailFile::GoOn(directory, std::move(key), end)
                       : AuditTailFile::Make(directory, std::move(key), end),
                 there);
}

}  // namespace

Result<void> OpenAudit(AuditTrail& trail, const fs::path& directory,
                       const policy::AuditLimits& limits, const StoredState& state,
                       SecretBytes tail_key) {
  KEYWARD_ASSIGN(const bool marked, FileExists(directory / kAuditRestartMark));
  KEYWARD_TRY(MakeFolder(directory / kAuditFolder));
  const audit::Log::Options options = OptionsOf(limits);
  trail.Close();
  KEYWARD_ASSIGN(const bool empty, HoldsNothing(directory / kAuditFolder));
  bool restart = marked && empty;
  Result<bool> tail = restart ? OpenAny(trail, directory, options)
                              : OpenExpected(trail, directory, state, tail_key, options);
  if (!tail && marked && IsNotTheLog(tail.error())) {
    KEYWARD_TRY(BeginAnother(directory));
    tail = OpenAny(trail, directory, options);
    restart = true;
  }
  if (!tail) return Fail(WithRemedy(tail.error()));
  KeepTail(trail, directory, std::move(tail_key), *tail);
  if (restart) KEYWARD_TRY(trail.RecordReserved(Restarted(state.audit_head)));
  if (restart) Log(LogLevel::kWarning, "the audit log begins anew: it was restarted");
  if (state.audit_head) return {};
  if (!restart) KEYWARD_TRY(trail.RecordReserved(Begun(state)));
  return TellRestore(trail, directory);
}

Result<void> EndAuditMarks(const fs::path& directory) {
  KEYWARD_TRY(RemoveRestoreMark(directory));
  KEYWARD_ASSIGN(const bool restart, FileExists(directory / kAuditRestartMark));
  return restart ? RemoveFile(directory / kAuditRestartMark) : Result<void>();
}

Result<fs::path> RestartAudit(const fs::path& directory) {
  const fs::path folder = directory / kAuditFolder;
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(folder, error))) {
    KEYWARD_TRY(ReplaceFile(directory / kAuditRestartMark, {}));
    return fs::path();
  }
  // The mark first: after a crash in between, keyd moves the log away itself if it has to.
  KEYWARD_TRY(ReplaceFile(directory / kAuditRestartMark, {}));
  return MoveAway(directory);
}

}  // namespace keyward
