// The key under which everything of ours is wrapped.
#pragma once

#include "core/bytes.h"
#include "tpm/connection.h"
#include "tpm/esys_handle.h"

namespace keyward::tpm {

struct StoragePrimary {
  EsysHandle handle;
  Bytes name;  // 34 bytes: TPM_ALG_SHA256, SHA-256 of the public area
};

// Makes the primary anew from the owner seed; it is the same one until the owner clears the TPM.
// That the TPM gave the template's attributes and a name that belongs to the key is checked here;
// that it is the key of the expected TPM is for the caller to check against the pinned name. With
// an owner password set this fails, once for each call: the owner hierarchy knows no lockout.
// Errors: kCustodianUnavailable, kAuthenticationFailed (an answer that does not hold together).
Result<StoragePrimary> CreateStoragePrimary(Connection& connection);

}  // namespace keyward::tpm
