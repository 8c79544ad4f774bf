#include "tpm/leaked_objects.h"

#include <span>

#include "tpm/capabilities.h"
#include "tpm/esys_handle.h"
#include "tpm/esys_ptr.h"

namespace keyward::tpm {
namespace {

Result<void> FlushHandle(Connection& connection, TPM2_HANDLE handle) {
  ESYS_TR object = ESYS_TR_NONE;
  const Outcome found = connection.Run("Esys_TR_FromTPMPublic", [&] {
    return Esys_TR_FromTPMPublic(connection.get(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                 &object);
  });
  KEYWARD_TRY(found.Check());
  const Outcome flushed = connection.Run(
      "TPM2_FlushContext", [&] { return Esys_FlushContext(connection.get(), object); });
  if (!flushed.ok()) EsysHandle(connection.get(), object, EsysHandle::Ending::kClose).Reset();
  return flushed.Check();
}

}  // namespace

Result<void> FlushLeakedObjects(Connection& connection) {
  constexpr uint32_t kAtOnce = 32;  // more than any TPM has slots
  for (const TPM2_HANDLE first :
       {TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST, TPM2_ACTIVE_SESSION_FIRST}) {
    KEYWARD_ASSIGN(const EsysPtr<TPMS_CAPABILITY_DATA> data,
                   GetCapability(connection, TPM2_CAP_HANDLES, first, kAtOnce));
    const TPML_HANDLE& list = data->data.handles;
    for (const TPM2_HANDLE handle : std::span(list.handle, list.count)) {
      KEYWARD_TRY(FlushHandle(connection, handle));
    }
  }
  return {};
}

}  // namespace keyward::tpm
