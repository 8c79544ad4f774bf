// Where the audit log lies in the state directory, and how it is found to be the one that the store
// remembers.
#pragma once

#include <filesystem>

#include "keyd/audit_trail.h"
#include "keyd/store_records.h"
#include "policy/policy.h"

namespace keyward {

inline constexpr const char* kAuditFolder = "audit";
// There while an admin has another log begin: see RestartAudit. It makes no log believed.
inline constexpr const char* kAuditRestartMark = "audit-restart";

// Opens the log of the state directory `directory`, or begins one where `state` knows of none;
// whose first records tell of the backup that it was restored from, where that is so. It has to
// have the record that `state` names, and the one that its tail names, where `state` says that one
// was kept; from here on one is, under `tail_key` (Subkey::kAudit). With the mark of a restart,
// another log is begun where there is none, and in place of one that lacks them, which is moved to
// audit-former-N.
// Errors: those of AuditTrail::Open and ReadAuditTail. kRolledBack and kDataCorrupt come with their
// remedy.
Result<void> OpenAudit(AuditTrail& trail, const std::filesystem::path& directory,
                       const policy::AuditLimits& limits, const StoredState& state,
                       SecretBytes tail_key);
// The log is one that the store knows by now: what the marks of a restart and of a restored backup
// tell is told.
Result<void> EndAuditMarks(const std::filesystem::path& directory);

// For the admin who goes on without records that are lost: moves the log away, to audit-former-N,
// and lets the next start begin another, whose second record tells of it. keyd does not run.
// Gives where the former log is; "" when there was none. Errors: kIo, kResourceExhausted.
Result<std::filesystem::path> RestartAudit(const std::filesystem::path& directory);

}  // namespace keyward
