// The key under which everything of ours is wrapped, and the one that tells a cleared TPM from
// another.
#pragma once

#include <optional>

#include "tpm/primary.h"

namespace keyward::tpm {

// Makes the storage primary anew from the owner seed; it is the same one until the owner clears the
// TPM. That it is the key of the expected TPM is for the caller to check against the pinned name.
// Errors: those of CreatePrimary.
Result<Primary> CreateStoragePrimary(Connection& connection);

// The name of the endorsement key, which outlives TPM2_Clear; nothing where the endorsement
// hierarchy is disabled or has a password (it knows no lockout), or no such key can be made. The
// answer is not authenticated: good for telling people what happened, not as a proof. Errors: those
// after which it may be asked again.
Result<std::optional<Bytes>> ReadEndorsementName(Connection& connection);

}  // namespace keyward::tpm
