// The session that protects every command which moves a secret.
#pragma once

#include <span>

#include "tpm/connection.h"
#include "tpm/esys_handle.h"

namespace keyward::tpm {

// An unbound HMAC session with a salt that only the holder of `salt_key`'s private half can read,
// so that a listener on the bus cannot derive its keys, and an answer that was not made by that TPM
// is refused. Parameters are encrypted with AES-128-CFB. Kept open and used again: opening one
// costs a key agreement in the TPM. TPM 2.0 part 1, 19 "Authorizations and Acknowledgments" and 21
// "Session-based encryption".
class EsysSession {
 public:
  // Which of the first parameters travel encrypted. A command says which it has; asking for one
  // that it has not is an error of the TPM's.
  enum class Encrypt : uint8_t { kNothing, kRequest, kResponse, kBoth };

  // Errors: kCustodianUnavailable.
  static Result<EsysSession> Start(Connection& connection, ESYS_TR salt_key);

  // The handle to give to the next command. Errors: kInternal.
  Result<ESYS_TR> For(Encrypt encrypt);
  void Abandon() { handle_.Abandon(); }

 private:
  EsysSession(Connection& connection, EsysHandle handle)
      : connection_(&connection), handle_(std::move(handle)) {}

  Connection* connection_;
  EsysHandle handle_;
};

}  // namespace keyward::tpm
