// keyctl's exit codes: an interface for scripts, so the numbers stay. The table in keyctl(1) and in
// `keyctl --help` is this one; a test compares them.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/error.h"

namespace keyward::keyctl {

enum class ExitCode : uint8_t {
  kOk = 0,
  kFailure = 1,
  kUsage = 2,
  kUnreachable = 3,
  kPermissionDenied = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kHardware = 7,
  kConfiguration = 8,
  kNotConfirmed = 9,
  kSealed = 10,
  kStale = 11,
  kAttention = 12,
};

struct ExitCodeInfo {
  ExitCode code;
  std::string_view meaning;
};

inline constexpr std::array kExitCodes = {
    ExitCodeInfo{ExitCode::kOk, "success"},
    ExitCodeInfo{ExitCode::kFailure, "the request failed"},
    ExitCodeInfo{ExitCode::kUsage, "the command line or an argument is wrong"},
    ExitCodeInfo{ExitCode::kUnreachable, "keyd cannot be reached"},
    ExitCodeInfo{ExitCode::kPermissionDenied, "permission denied"},
    ExitCodeInfo{ExitCode::kNotFound, "no such key, module, peer or session"},
    ExitCodeInfo{ExitCode::kAlreadyExists, "it exists already"},
    ExitCodeInfo{ExitCode::kHardware, "the HSM or TPM does not serve; status: degraded"},
    ExitCodeInfo{ExitCode::kConfiguration, "security.yaml is not valid"},
    ExitCodeInfo{ExitCode::kNotConfirmed, "not confirmed, so nothing was done"},
    ExitCodeInfo{ExitCode::kSealed, "the service is sealed"},
    ExitCodeInfo{ExitCode::kStale, "the backup would restore, but is not up to date"},
    ExitCodeInfo{ExitCode::kAttention, "doctor: something needs attention"},
};

// The exit code for a failure with `code`.
ExitCode ExitCodeFor(ErrorCode code);

}  // namespace keyward::keyctl
