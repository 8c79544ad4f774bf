#include "tpm/wipe.h"

#include <sodium.h>
#include <tss2/tss2_sys.h>

#include "tpm/response_code.h"

namespace keyward::tpm {
namespace {

// Deeper than any call into ESAPI goes.
constexpr size_t kEsapiStack = size_t{32} * 1024;

}  // namespace

void WipeEsapiStack() { sodium_stackzero(kEsapiStack); }

Result<void> WipeResponse(ESYS_CONTEXT* esys) {
  WipeEsapiStack();
  TSS2_SYS_CONTEXT* sys = nullptr;
  KEYWARD_TRY(Outcome(Esys_GetSysContext(esys, &sys), "Esys_GetSysContext").Check());
  const uint8_t* parameter = nullptr;
  size_t size = 0;
  KEYWARD_TRY(Outcome(Tss2_Sys_GetEncryptParam(sys, &size, &parameter), "Tss2_Sys_GetEncryptParam")
                  .Check());
  sodium_memzero(const_cast<uint8_t*>(parameter), size);
  return {};
}

}  // namespace keyward::tpm
