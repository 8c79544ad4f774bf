// The bytes of a manifest. Integers are big-endian; docs/BACKUP_FORMAT.md has the table.
#pragma once

#include "keyd/backup/content.h"

namespace keyward::backup {

// Errors: kTooLarge (over kMaxManifest).
Result<Bytes> EncodeManifest(const Manifest& manifest);

// Whoever has a recovery certificate can have written it, so it is held to all that a store of
// keyd's would be: names are names, versions belong to keys, public halves are keys of the right
// algorithm, one version is active. Errors: kMalformed.
Result<Manifest> DecodeManifest(ByteView bytes);

// That it will be read: what could not be restored is no backup. Errors: kTooLarge, kInternal.
Result<void> CheckReadable(const Manifest& manifest);

}  // namespace keyward::backup
