// What keyd remembers of the latest backup that it made: the file `last-backup` in the state
// directory.
#pragma once

#include <filesystem>
#include <optional>

#include "keyd/backup/content.h"

namespace keyward::backup {

struct LatestBackup {
  BackupId id;
  WallTime created;
  BackupDigest digest;
};

// "KWLB" u8 version(1) | id (16) | u64 created, ms | digest (32) | MAC (32) under Subkey::kBackup.
// Errors: kIo, kInternal.
Result<void> WriteLatest(const std::filesystem::path& state_directory, const LatestBackup& latest,
                         const SecretBytes& backup_key);
// Nothing when none was made. Errors: kIo, kDataCorrupt.
Result<std::optional<LatestBackup>> ReadLatest(const std::filesystem::path& state_directory,
                                               const SecretBytes& backup_key);

}  // namespace keyward::backup
