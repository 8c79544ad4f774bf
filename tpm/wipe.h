// What ESAPI leaves behind of a secret that passed through it.
#pragma once

#include <tss2/tss2_esys.h>

#include "core/result.h"

namespace keyward::tpm {

// The stack below the caller, over which ESAPI passed it. To be called right after the command.
void WipeEsapiStack();

// Also the last response, which ESAPI decrypts where it lies and leaves there until the next
// command. Errors: kInternal.
Result<void> WipeResponse(ESYS_CONTEXT* esys);

}  // namespace keyward::tpm
