// Where the audit log lies in the state directory, and how it is found to be the one that the store
// remembers.
#pragma once

#include <filesystem>

#include "keyd/audit_trail.h"
#include "keyd/store_records.h"
#include "policy/policy.h"

namespace keyward {

inline constexpr const char* kAuditFolder = "audit";
// There while an admin vouches for a log that lacks records: see RestartAudit.
inline constexpr const char* kAuditRestartMark = "audit-restart";

// Opens the log of the state directory `directory`, or begins one where `state` knows of none.
// Errors: those of AuditTrail::Open. kRolledBack and kDataCorrupt come with their remedy.
Result<void> OpenAudit(AuditTrail& trail, const std::filesystem::path& directory,
                       const policy::AuditLimits& limits, const StoredState& state);
// The new log of an audit restart is the one that the store knows by now.
Result<void> EndAuditRestart(const std::filesystem::path& directory);

// For the admin who goes on without records that are lost: moves the log away, to audit-former-N,
// and lets the next start begin another, whose second record tells of it. keyd does not run.
// Gives where the former log is; "" when there was none. Errors: kIo, kResourceExhausted.
Result<std::filesystem::path> RestartAudit(const std::filesystem::path& directory);

}  // namespace keyward
