// What keyctl doctor found out about one thing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace keyward::keyctl {

// kUnknown: this user may not look, or there is nothing to be looked at. It is no fault.
enum class Verdict : uint8_t { kOk = 1, kAttention = 2, kUnknown = 3 };

struct Finding {
  std::string check;  // "configuration", "custodian tpm"
  Verdict verdict = Verdict::kOk;
  std::string what;    // how it is, or what is wrong
  std::string remedy;  // what to do; "" where all is well
  std::string code;    // the name of an ErrorCode, where there is one
};
using Findings = std::vector<Finding>;

// "ok", "attention", "unknown"
std::string_view Name(Verdict verdict);

Finding Well(std::string check, std::string what);
Finding Attention(std::string check, std::string what, std::string remedy, std::string code = "");
Finding Unknown(std::string check, std::string what, std::string remedy = "");

// What to do about `code` at `subject`: "hsm", "tpm", or "service".
std::string RemedyFor(ErrorCode code, std::string_view subject);

}  // namespace keyward::keyctl
