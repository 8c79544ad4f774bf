// Keys that a TPM makes anew from a seed and a template, always the same ones.
#pragma once

#include "core/bytes.h"
#include "tpm/connection.h"
#include "tpm/esys_handle.h"

namespace keyward::tpm {

struct Primary {
  EsysHandle handle;
  TPMT_PUBLIC area;
  Bytes name;  // 34 bytes: TPM_ALG_SHA256, SHA-256 of the public area
};

// TPM2_CreatePrimary of `wanted` in `hierarchy` (ESYS_TR_RH_*), authorised by `authorization`:
// ESYS_TR_PASSWORD for the empty password, or an HMAC session, which also authenticates the answer.
// That the TPM gave the template's attributes and a name that belongs to the key is checked here.
// Errors: kCustodianUnavailable, kPinRejected (an owner hierarchy with a password), kCustodianBusy,
// kLockedOut, kAuthenticationFailed (an answer that does not hold together).
Result<Primary> CreatePrimary(Connection& connection, ESYS_TR hierarchy, ESYS_TR authorization,
                              const TPM2B_PUBLIC& wanted);

}  // namespace keyward::tpm
