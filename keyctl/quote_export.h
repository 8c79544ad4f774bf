// A quote of the TPM, in the files that tpm2_checkquote(1) reads.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "core/attester.h"
#include "core/result.h"

namespace keyward::keyctl {

// Hex of 1 to kMaxQuoteNonce bytes, or "boot" for no bytes: the quote of keyd's start. Errors:
// kInvalidArgument.
Result<Bytes> ParseNonce(const std::string& text);

// What `tpm2_quote --pcr` writes: a TPML_PCR_SELECTION of the SHA-256 bank, a count, and so many
// TPML_DIGEST of up to eight values, all as they lie in the memory of a little-endian machine.
Bytes PcrFileOf(const PcrValues& values);

// Writes quote.msg, quote.sig, quote.pcrs and ak.pem into `directory`, which is made if it is not
// there. Errors: kIo.
Result<void> WriteQuote(const std::filesystem::path& directory, const Quote& quote);

// "message", "signature", "pcrs" and "key" (the PEM), each as base64 of the file's bytes; and
// "values", hex by PCR.
nlohmann::ordered_json QuoteJson(const Quote& quote);

}  // namespace keyward::keyctl
