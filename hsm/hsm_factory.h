// The PKCS#11 custodian: keys in the token of any PKCS#11 2.40 module, reached through p11-kit.
//
// The token needs CKM_AES_GCM for the Sealer; the Signer offers what the token has of Ed25519
// (CKM_EDDSA, PKCS#11 3.0 numbers), ECDSA P-256 and P-384 (CKM_ECDSA). Everything is made as a
// private, sensitive, non-extractable token object.
#pragma once

#include <memory>
#include <string>

#include "core/custodian.h"
#include "core/rng.h"

namespace keyward::hsm {

class TokenAccess;

struct HsmOptions {
  std::string module_path;  // "/usr/lib/softhsm/libsofthsm2.so"
  std::string token_label;  // CKA_LABEL of the token, 1..32 bytes
  // Where the user PIN is; exactly one of the two. A file: a path, its mode 0600 or less, except
  // in $CREDENTIALS_DIRECTORY. A credential: the name of a file in $CREDENTIALS_DIRECTORY
  // (systemd's LoadCredential=). One trailing newline is no part of the PIN; at most 255 bytes.
  std::string pin_file;
  std::string pin_credential;
  // An existing folder, private to keyd, for two files. hsm-pin-rejected: which PIN file the token
  // refused; that PIN is not tried again, also by a later process, until the file changes, or the
  // token, which told of the wrong PIN, tells that a right one came after it: see pin_guard.h.
  // hsm-token-serial: the token that this installation belongs to, since its first login.
  std::string state_directory;
};

// Any thread may call Make. The custodians share one loaded module and one login; each has a
// session of its own and is used by one thread. They may outlive the factory.
class HsmFactory {
 public:
  // `rng` outlives the factory and its custodians.
  HsmFactory(HsmOptions options, Rng& rng);
  ~HsmFactory();
  HsmFactory(const HsmFactory&) = delete;
  HsmFactory& operator=(const HsmFactory&) = delete;

  // Loads the module if it is not, finds the token, opens a session and logs in. May be called
  // again after any error. Errors: kCustodianUnavailable (no module, no token, no answer),
  // kCustodianCleared (another serial number than on first use; no PIN is tried), kPinRejected
  // (refused now or before, or one try from being locked), kLockedOut (locked), kConfiguration
  // (options, or a PIN file that is missing, empty, too long or open to others), kIo and
  // kDataCorrupt (state directory).
  Result<std::unique_ptr<Custodian>> Make();

 private:
  std::shared_ptr<TokenAccess> access_;
  Rng& rng_;
};

}  // namespace keyward::hsm
