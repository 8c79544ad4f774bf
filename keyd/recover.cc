#include "keyd/recover.h"

#include <utility>

#include "keyd/backup/report.h"
#include "keyd/backup/restore.h"
#include "keyd/custodians.h"
#include "keyd/process.h"

namespace keyward {

Result<std::string> ShowBackup(const backup::RecoveryInput& input) {
  KEYWARD_ASSIGN(const backup::Content content, backup::OpenBackup(input));
  return backup::ReportOf(content, nullptr);
}

Result<std::string> Recover(Recovery recovery, const policy::Policy& policy, Rng& rng) {
  KEYWARD_ASSIGN(const backup::Content content, backup::OpenBackup(recovery.input));
  KEYWARD_ASSIGN(const UniqueFd lock, LockDirectory(recovery.state_directory));
  const SystemClock clock;
  KEYWARD_ASSIGN(KeyRingPools pools, MakeCustodians(policy, recovery.state_directory, clock, rng));
  KEYWARD_ASSIGN(const backup::Restoration restoration,
                 backup::SealAnew(content, pools, recovery.wanted.custodian));
  if (recovery.for_good) {
    recovery.wanted.restored = restoration.state;
    KEYWARD_TRY(Initialise(recovery.wanted, pools, recovery.state_directory, rng));
  }
  return backup::ReportOf(content, &restoration);
}

}  // namespace keyward
