// The master key in an envelope for a recovery certificate.
#pragma once

#include "keyd/backup/recovery_key.h"
#include "keyd/master_key.h"

namespace keyward {

// CMS EnvelopedData (DER) whose content is the 32 bytes of the master key: see
// keyd/backup/envelope.h. It does not authenticate; whoever keeps it has to. Errors: kInternal.
Result<Bytes> SealForRecovery(const backup::RecoveryCertificate& certificate,
                              const MasterKey& master);

// Errors: kAuthenticationFailed (another key), kDataCorrupt.
Result<MasterKey> OpenWithRecoveryKey(ByteView der, const backup::RecoveryKey& key);

}  // namespace keyward
