#include "tpm/condition.h"

#include <fmt/core.h>

#include <span>

#include "tpm/capabilities.h"
#include "tpm/esys_ptr.h"

namespace keyward::tpm {
namespace {

struct Lockout {
  bool locked = false;
  uint32_t seconds_a_try = 0;  // until the TPM forgives one failed try; 0: it never does
};

Result<uint64_t> ReadStarts(Connection& connection) {
  EsysPtr<TPMS_TIME_INFO> time;
  const Outcome outcome = connection.Run("TPM2_ReadClock", [&] {
    return Esys_ReadClock(connection.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                          EsysOut(time));
  });
  KEYWARD_TRY(outcome.Check());
  return uint64_t{time->clockInfo.resetCount} << 32 | time->clockInfo.restartCount;
}

Result<Lockout> ReadLockout(Connection& connection) {
  constexpr uint32_t kAllThatVary = 64;
  KEYWARD_ASSIGN(
      const EsysPtr<TPMS_CAPABILITY_DATA> data,
      GetCapability(connection, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_PERMANENT, kAllThatVary));
  const TPML_TAGGED_TPM_PROPERTY& list = data->data.tpmProperties;
  Lockout lockout;
  for (const TPMS_TAGGED_PROPERTY& each : std::span(list.tpmProperty, list.count)) {
    if (each.property == TPM2_PT_PERMANENT) {
      lockout.locked = (each.value & TPMA_PERMANENT_INLOCKOUT) != 0;
    }
    if (each.property == TPM2_PT_LOCKOUT_INTERVAL) lockout.seconds_a_try = each.value;
  }
  return lockout;
}

Error LockedOut(const Lockout& lockout) {
  const std::string wait =
      lockout.seconds_a_try == 0
          ? "run"
          : fmt::format("wait, as it forgives one in {} s, or run", lockout.seconds_a_try);
  return {ErrorCode::kLockedOut,
          "the TPM is locked after wrong passwords of other programs; the keys of this service are "
          "exempt and go on working: find out who tries, and " +
              wait + " tpm2_dictionarylockout --clear-lockout"};
}

}  // namespace

Result<HardwareNotes> ReadNotes(Connection& connection) {
  HardwareNotes notes;
  KEYWARD_ASSIGN(notes.starts, ReadStarts(connection));
  KEYWARD_ASSIGN(const Lockout lockout, ReadLockout(connection));
  if (lockout.locked) notes.concern = LockedOut(lockout);
  return notes;
}

}  // namespace keyward::tpm
