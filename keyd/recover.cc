#include "keyd/recover.h"

#include <utility>

#include "core/encoding.h"
#include "core/file.h"
#include "keyd/backup/report.h"
#include "keyd/backup/restore.h"
#include "keyd/custodians.h"
#include "keyd/master_record.h"
#include "keyd/process.h"
#include "keyd/restore_mark.h"

namespace keyward {

namespace {

// The mark first: whatever is made from here on is told to be restored.
Result<void> InitialiseMarked(const Recovery& recovery, const backup::Manifest& from,
                              KeyRingPools& pools, Rng& rng) {
  const std::string& directory = recovery.state_directory;
  KEYWARD_ASSIGN(const bool there, FileExists(std::filesystem::path(directory) / kMasterFile));
  if (!there) {
    KEYWARD_TRY(WriteRestoreMark(directory, {ToHex(from.id), from.created, from.epoch}));
  }
  const Result<void> made = Initialise(recovery.wanted, pools, directory, rng);
  if (!made) KEYWARD_TRY(RemoveRestoreMarkUnlessMade(directory));
  return made;
}

}  // namespace

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
    KEYWARD_TRY(InitialiseMarked(recovery, content.manifest, pools, rng));
  }
  return backup::ReportOf(content, &restoration);
}

Result<std::string> ResealMaster(const ResealRequest& request, const std::string& state_directory,
                                 const policy::Policy& policy, Rng& rng) {
  KEYWARD_ASSIGN(const UniqueFd lock, LockDirectory(state_directory));
  const SystemClock clock;
  KEYWARD_ASSIGN(KeyRingPools pools, MakeCustodians(policy, state_directory, clock, rng));
  KEYWARD_ASSIGN(const Resealing resealing,
                 Reseal(request, {pools, state_directory, policy.audit(), clock, rng}));
  return ReportOf(resealing);
}

}  // namespace keyward
