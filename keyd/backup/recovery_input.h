// Opening a backup with its recovery key, in a keyd that was started for just that.
#pragma once

#include "keyd/backup/content.h"
#include "keyd/backup/recovery_key.h"

namespace keyward::backup {

// Open descriptors, read from where they stand: keyctl has opened the files, because keyd's user
// may not be able to.
struct RecoveryInput {
  int backup = -1;      // where there is one
  int key = -1;         // PEM
  int passphrase = -1;  // of the key; -1: none. A newline at its end does not count.
};

// OpenSSL keeps the key in locked memory. Errors: kInvalidArgument (no key, or another passphrase),
// kIo, kTooLarge, kResourceExhausted.
Result<RecoveryKey> ReadRecoveryKey(const RecoveryInput& input);

// Reads, opens and checks all that can be checked without hardware. Errors also: those of
// OpenEnvelope::Open, ReadContent and CheckPairs.
Result<Content> OpenBackup(const RecoveryInput& input);

}  // namespace keyward::backup
