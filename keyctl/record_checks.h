// What keyctl doctor makes of the records that keyd keeps: the audit log, what was revoked, the
// latest backup.
#pragma once

#include <vector>

#include "api/admin.h"
#include "keyctl/finding.h"

namespace keyward::keyctl {

// Whether events are recorded, how far the log has come, and how much of it is signed.
Finding CheckAudit(const AuditSummary& audit);

// Who signs the lists of what was revoked here, and who signed those that were imported. For
// admins. `service_key`: the signer of the own ones, kNotFound where keyd has not needed it yet.
Finding CheckRevocations(const Result<std::vector<RevocationSummary>>& revocations,
                         const Result<KeyDetails>& service_key);

// How old the latest backup is, as keyd has noted it. Nothing while keyd cannot tell.
std::optional<Finding> CheckBackupRecord(const BackupRecord& record, WallTime now);

// The verdict on a latest backup that was made then; `source`: who says so.
Finding JudgeBackupAge(WallTime made, WallTime now, std::string_view source);

}  // namespace keyward::keyctl
