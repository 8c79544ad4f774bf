// What keyd tells keyctl of a backup that it has opened: JSON, and no secret in it.
// docs/BACKUP_FORMAT.md has its fields.
#pragma once

#include <string>

#include "keyd/backup/content.h"
#include "keyd/backup/restore.h"

namespace keyward::backup {

// `restoration`: null when no hardware was asked for anything.
std::string ReportOf(const Content& content, const Restoration* restoration);

}  // namespace keyward::backup
