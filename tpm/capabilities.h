// What a TPM says about itself.
#pragma once

#include <string>
#include <vector>

#include "core/algorithm.h"
#include "tpm/connection.h"
#include "tpm/esys_ptr.h"

namespace keyward::tpm {

// TPM2_GetCapability, as many values as one answer holds. Errors: kCustodianUnavailable.
Result<EsysPtr<TPMS_CAPABILITY_DATA>> GetCapability(Connection& connection, TPM2_CAP capability,
                                                    uint32_t property, uint32_t count);

struct TpmFacts {
  std::string description;            // "TPM 2.0 IBM SW TPM, firmware 2019.1023"
  std::vector<Algorithm> algorithms;  // those of ours that the chip has
};

// Errors: kCustodianUnavailable.
Result<TpmFacts> ReadFacts(Connection& connection);

}  // namespace keyward::tpm
