// The key that keyd itself signs with: checkpoints of the audit log, revocation lists, backups.
#pragma once

#include <functional>
#include <string>

#include "keyd/key_ring.h"

namespace keyward {

// Belongs to the bus thread. Of custody hardware, ECDSA P-256, which every custodian has; made when
// it is needed first, and again when it was revoked. Admins see it, rotate and revoke it as any
// other key, under policy::kServiceKeyName; no module may have it.
class ServiceKey {
 public:
  struct Signed {
    Bytes signature;
    PublicKey key;
  };
  using Done = std::function<void(Result<Signed>)>;

  // `custodian` keeps it. What it refers to outlives it.
  ServiceKey(KeyRing& keys, std::string custodian, KeyRing::Post post)
      : keys_(keys), custodian_(std::move(custodian)), post_(std::move(post)) {}

  // Signs a statement of keyd's own making, whose first line says what it is and of which version.
  // `done` is called on the bus thread, once, even after the end of this object. Errors: kBusy (it
  // is being made), kSealed, and the custodian's.
  void Sign(Bytes statement, const Done& done);

 private:
  KeyRing& keys_;
  const std::string custodian_;
  const KeyRing::Post post_;
};

}  // namespace keyward
