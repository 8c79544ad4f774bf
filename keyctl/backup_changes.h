// What has changed since a backup was made.
#pragma once

#include <string>
#include <vector>

#include "api/admin.h"
#include "keyctl/backup_report.h"

namespace keyward::keyctl {

// Sentences for people, such as "key 'web' version 2 was made"; none when a restore would give what
// there is now. Uses and times do not count. Errors: the AdminClient's.
Result<std::vector<std::string>> ChangesSince(const BackupReport& report, AdminClient& admin);

}  // namespace keyward::keyctl
