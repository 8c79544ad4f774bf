// A token or chip that holds keys, as the sum of its capabilities.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/attester.h"
#include "core/counter.h"
#include "core/master_sealer.h"
#include "core/sealer.h"
#include "core/signer.h"

namespace keyward {

// What hardware says of itself beside serving.
struct HardwareNotes {
  // Another number after each start of the hardware, as it counts them itself; nothing for hardware
  // that does not.
  std::optional<uint64_t> starts;
  // It serves, and still somebody should look: kLockedOut, kPinRejected (the next wrong PIN locks
  // it).
  std::optional<Error> concern;
};

// Used by one thread from its making to its end. A custodian whose hardware comes back after a loss
// serves again by itself: every call tries at most one reconnection.
class Custodian {
 public:
  virtual ~Custodian() = default;

  virtual Signer& signer() = 0;
  virtual Sealer& sealer() = 0;
  virtual Counter& counter() = 0;
  virtual MasterSealer& master_sealer() = 0;
  // Null for hardware that knows nothing of the boot: an HSM.
  virtual Attester* attester() = 0;

  // One cheap round trip to the hardware. Errors: those common to all calls; see signer.h.
  virtual Result<void> CheckHealth() = 0;
  // As of the last CheckHealth that went well; empty before.
  virtual HardwareNotes Notes() const = 0;
  // What it is, for people: "SoftHSM v2 token 'keyward'", "TPM 2.0 IBM SW TPM, swtpm".
  virtual std::string Describe() const = 0;
};

// Makes a custodian for the calling thread. Kept by keyd to make one for each of its threads, and
// again after a failure.
using CustodianFactory = std::function<Result<std::unique_ptr<Custodian>>()>;

}  // namespace keyward
