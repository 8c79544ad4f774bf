// The PCRs of a TPM's SHA-256 bank.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "core/pcr_policy.h"
#include "tpm/link.h"

namespace keyward::tpm {

// Errors: kInvalidArgument (empty, or an index over 23).
Result<TPML_PCR_SELECTION> ToTpmSelection(const PcrSelection& pcrs);

// Those of the SHA-256 bank.
PcrSelection FromTpmSelection(const TPML_PCR_SELECTION& selection);

// Values of one moment, in answers that nobody but the pinned TPM can give. A TPM tells eight at a
// time, so that they may change meanwhile: then it is asked again, a few times at most. (Of PCRs 16
// and 21 to 23 a PC's TPM does not count the changes.) Errors:
// kInvalidArgument, kNotSupported (no such bank, or no such PCR in it), kCustodianBusy (they change
// faster than that), kAuthenticationFailed, kCustodianUnavailable.
Result<PcrValues> ReadPcrs(Link& link, const PcrSelection& pcrs);

}  // namespace keyward::tpm
