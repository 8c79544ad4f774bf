// What a TPM says of its own condition: whether it was restarted, and whether it is locked.
#pragma once

#include "core/custodian.h"
#include "tpm/connection.h"

namespace keyward::tpm {

// TPM2_ReadClock and TPM2_GetCapability. Nothing authenticates the answers: good for telling people
// what happened, not as a proof. `starts` is made of the TPM's counts of resets and restarts; the
// concern is a dictionary-attack lockout, to which nothing of ours is subject. Errors:
// kCustodianUnavailable, kCustodianBusy.
Result<HardwareNotes> ReadNotes(Connection& connection);

}  // namespace keyward::tpm
