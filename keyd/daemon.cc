#include "keyd/daemon.h"

namespace keyward {

Result<Vault*> Daemon::Unsealed() const {
  if (vault != nullptr) return vault.get();
  return Fail(ErrorCode::kSealed, "the service is sealed: " + sealed_because.message());
}

}  // namespace keyward
