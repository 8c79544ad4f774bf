// Making the master key: the one time that a state directory is set up.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "keyd/master_home.h"

namespace keyward {

struct Initialisation {
  std::string custodian;                               // "hsm" or "tpm", where the master key goes
  std::optional<PublicKey> authority;                  // of PCR policies, for a TPM
  bool adopt = false;                                  // take over a store that has no MAC yet
  std::optional<StoredState> restored = std::nullopt;  // of a backup; only where no store is
};

// Makes a master key and its counter in the hardware, and a store under it; removes what an earlier
// try left there. Killed at any point, it can be repeated. Blocks. Errors: kAlreadyExists (there is
// a master key, or a store that was not to be adopted), kConfiguration (no such custodian), the
// custodian's, the store's.
Result<void> Initialise(const Initialisation& wanted, KeyRingPools& pools,
                        const std::filesystem::path& state_directory, Rng& rng);

}  // namespace keyward
