// What dead clients left in the TPM.
#pragma once

#include "tpm/connection.h"

namespace keyward::tpm {

// Flushes every transient object and every loaded or saved session. A TPM has room for three of
// each, so that a client killed a few times would otherwise lock everybody out. Only for a
// connection that is direct(): behind a resource manager they belong to others. Errors:
// kCustodianUnavailable.
Result<void> FlushLeakedObjects(Connection& connection);

}  // namespace keyward::tpm
