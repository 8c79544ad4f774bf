// From a backup to a state that this machine's hardware can serve.
#pragma once

#include <string>
#include <vector>

#include "keyd/backup/content.h"
#include "keyd/key_ring.h"

namespace keyward::backup {

// That each sealed or derived version which can sign, now or once it is activated, has its private
// half in the backup, that each of those belongs to its public half, and that there are no others.
// Errors: kMalformed, kDataCorrupt.
Result<void> CheckPairs(const Manifest& manifest, const Secrets& secrets);

// Whether the version signs, or will once it is activated.
bool CanSign(const VersionRecord& version);

// Runs on a thread of the custodian. The blob is opened once, to see that it can be. Errors:
// kDataCorrupt (it opens to something else), the Sealer's.
Result<Bytes> SealAndOpen(Custodian& custodian, const SecretBytes& secret, const Bytes& context);

struct Restoration {
  StoredState state;  // sealed anew
  std::vector<VersionRecord>
      left_out;  // hardware versions that this hardware does not have: destroyed
  std::vector<ModuleRecord> unenrolled;  // whose identity was destroyed
};

// Seals the private halves anew: each with a custodian of the kind that it had, where security.yaml
// configures one, else with `master`, and so the derived ones, which another master key cannot make
// again and which are sealed keys from here on; and opens what was sealed, to see that it can.
// Hardware keys stay where this very hardware signs with them, as after the loss of a disk; else
// they come back as destroyed, and the modules that they identified are not enrolled any more.
// Nothing is left in the hardware. Blocks. Errors: kConfiguration (no `master`), the custodians',
// CheckPairs'.
Result<Restoration> SealAnew(const Content& content, KeyRingPools& pools,
                             const std::string& master);

}  // namespace keyward::backup
