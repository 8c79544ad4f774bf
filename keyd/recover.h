// keyctl backup restore and drill, and keyctl master reseal, in the keyd that keyctl starts for it.
#pragma once

#include <string>

#include "keyd/backup/recovery_input.h"
#include "keyd/initialise.h"
#include "keyd/second_seal/reseal.h"
#include "policy/policy.h"

namespace keyward {

struct Recovery {
  backup::RecoveryInput input;
  std::string state_directory;
  Initialisation wanted;
  bool for_good;  // else what is in the backup is sealed to see that it can be, and forgotten
};

// Each gives a report for keyctl: see backup::ReportOf.

// Opens and checks a backup, without hardware. Errors: those of backup::OpenBackup.
Result<std::string> ShowBackup(const backup::RecoveryInput& input);

// Also seals it with this machine's hardware; for good: makes a master key, and a store that holds
// it. Errors also: those of LockDirectory, backup::SealAnew and Initialise.
Result<std::string> Recover(Recovery recovery, const policy::Policy& policy, Rng& rng);

// Gives a report: see ReportOf(Resealing). Errors: those of LockDirectory and Reseal.
Result<std::string> ResealMaster(const ResealRequest& request, const std::string& state_directory,
                                 const policy::Policy& policy, Rng& rng);

}  // namespace keyward
