// The session that protects every command which moves a secret.
#pragma once

#include <span>

#include "tpm/connection.h"
#include "tpm/esys_handle.h"

namespace keyward::tpm {

// An unbound session with a salt that only the holder of `salt_key`'s private half can read,
// so that a listener on the bus cannot derive its keys, and an answer that was not made by that TPM
// is refused. Parameters are encrypted with AES-128-CFB. Kept open and used again: opening one
// costs a key agreement in the TPM. TPM 2.0 part 1, 19 "Authorizations and Acknowledgments" and 21
// "Session-based encryption".
class EsysSession {
 public:
  // What the session does for a command besides authorising it: which of the first parameters
  // travel encrypted (asking for one that a command has not is an error of the TPM's), or, for a
  // command that is neither authorised nor encrypted, that its answer is authenticated all the
  // same.
  enum class Protect : uint8_t { kNothing, kRequest, kResponse, kBoth, kAudit };

  // An HMAC session. Errors of both: kCustodianUnavailable.
  static Result<EsysSession> Start(Connection& connection, ESYS_TR salt_key) {
    return Start(connection, salt_key, TPM2_SE_HMAC);
  }
  // A policy session, which satisfies none yet.
  static Result<EsysSession> StartPolicy(Connection& connection, ESYS_TR salt_key) {
    return Start(connection, salt_key, TPM2_SE_POLICY);
  }

  // The handle to give to the next command. Errors: kInternal.
  Result<ESYS_TR> For(Protect protect);
  // For what builds up a policy.
  ESYS_TR get() const { return handle_.get(); }
  void Abandon() { handle_.Abandon(); }

 private:
  EsysSession(Connection& connection, EsysHandle handle)
      : connection_(&connection), handle_(std::move(handle)) {}
  static Result<EsysSession> Start(Connection& connection, ESYS_TR salt_key, TPM2_SE type);

  Connection* connection_;
  EsysHandle handle_;
};

}  // namespace keyward::tpm
