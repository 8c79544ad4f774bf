// The authority's side of PCR policies.
#pragma once

#include <string>

#include "core/pcr_policy.h"

namespace keyward::keyctl {

// Signs what the PCRs measure when they have `values`, with the ECDSA P-256 private key in the PEM
// file `key_file`; asks on the terminal for the passphrase of one that is encrypted. Errors:
// kInvalidArgument (no such file, not such a key), kIo.
Result<SignedPcrPolicy> SignPcrPolicy(const PcrValues& values, const std::string& key_file);

// The values in a text such as tpm2_pcrread(1) prints: lines "7 : 0x<64 hex digits>", with or
// without colon and 0x; others are passed over. Errors: kInvalidArgument (no such line, one twice,
// or a value that is no SHA-256).
Result<PcrValues> ParsePcrValues(std::string_view text);

// "0,2,7". Errors: kInvalidArgument.
Result<PcrSelection> ParsePcrs(std::string_view list);

}  // namespace keyward::keyctl
