// Giving the master key a new home by its second seal, when the custodian that had it is lost: in a
// keyd that was started for just that.
//
// The master key stays the same, and so does all that is stored. What is new is its part in the
// hardware, the counter, and the store's binding to both. A counter that is lost confirms nothing:
// whoever may do this can bring back an older copy of the state.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "keyd/backup/recovery_input.h"
#include "keyd/initialise.h"
#include "policy/policy.h"

namespace keyward {

struct ResealRequest {
  std::string custodian;               // "hsm" or "tpm", where the master key goes
  std::optional<PublicKey> authority;  // of PCR policies, for a TPM
  backup::RecoveryInput input;         // its key opens the second seal; -1: a custodian does
  bool for_good = false;               // else it is only found out what it would do
};

struct ResealPlace {
  KeyRingPools& pools;
  const std::filesystem::path& state_directory;  // locked
  const policy::AuditLimits& audit;
  const Clock& clock;
  Rng& rng;
};

// A version that only the lost custodian had, or could open.
struct LostVersion {
  std::string key;
  uint32_t number;
  Custody custody;
  std::string custodian;
  Bytes spki;
};

struct Resealing {
  std::string opened_by;        // "hsm", "tpm", kInRecovery
  std::string former;           // the custodian that had it
  bool former_answers = false;  // and confirms the epoch: then it is a move
  std::string custodian;        // the new one
  uint64_t epoch = 0;           // of the store, as it is found
  WallTime last_change;         // the latest of the times in it; 0: none is
  uint64_t audit_record = 0;    // that it knows of; 0: none
  std::vector<LostVersion> lost;
  std::string second;                  // what is left as second seal; "": none
  std::vector<std::string> leftovers;  // what could not be destroyed, for people
};

// Where the former custodian answers, the store's epoch has to agree with its counter, and its part
// is destroyed once the new home is made. Where it does not, the service key, which keyd makes
// itself, begins anew when it was there; other keys stay as they are, and are told as lost. The
// audit log is told before. Killed at any point, it can be repeated, and nothing is lost. Blocks.
// Errors: kNotInitialised (no master key), kNotFound (no second seal, or its hardware part is
// gone), kInvalidArgument (a recovery key where a custodian has the second seal, or the other way
// round), kAuthenticationFailed (another recovery key), kDataCorrupt (the seal, the store, the
// audit log, or master-key.former), kRolledBack, kConfiguration, the custodians'.
Result<Resealing> Reseal(const ResealRequest& request, const ResealPlace& place);

// For keyctl: JSON, and no secret in it. docs/STORE_FORMAT.md has its fields.
std::string ReportOf(const Resealing& resealing);

}  // namespace keyward
