// What keyctl doctor sees of this host without asking keyd.
#pragma once

#include <filesystem>

#include "core/clock.h"
#include "keyctl/finding.h"
#include "policy/name_resolver.h"

namespace keyward::keyctl {

// That security.yaml can be read and is valid, and that the PIN file that it names is closed to
// others.
Findings CheckConfiguration(const std::string& path, const policy::NameResolver& names);

// Owner, modes, and which files are there. An ordinary user sees the directory alone.
Finding CheckStateDirectory(const std::filesystem::path& directory);

// How old the latest backup is by the time of keyd's record of it, which only keyd can read.
Finding CheckBackupFile(const std::filesystem::path& directory, WallTime now);

// Room for what keyd writes, also where the audit log lies on a disk of its own.
Findings CheckDisks(const std::filesystem::path& directory);

}  // namespace keyward::keyctl
