#include "keyctl/exit_code.h"

namespace keyward::keyctl {

ExitCode ExitCodeFor(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return ExitCode::kUsage;
    case ErrorCode::kUnreachable:
      return ExitCode::kUnreachable;
    case ErrorCode::kPermissionDenied:
      return ExitCode::kPermissionDenied;
    case ErrorCode::kNotFound:
      return ExitCode::kNotFound;
    case ErrorCode::kAlreadyExists:
      return ExitCode::kAlreadyExists;
    case ErrorCode::kCustodianUnavailable:
    case ErrorCode::kCustodianReplaced:
    case ErrorCode::kCircuitBreakerOpen:
    case ErrorCode::kCustodianCleared:
    case ErrorCode::kCustodianBusy:
    case ErrorCode::kLockedOut:
    case ErrorCode::kPcrMismatch:
    case ErrorCode::kPinRejected:
      return ExitCode::kHardware;
    case ErrorCode::kSealed:
      return ExitCode::kSealed;
    case ErrorCode::kConfiguration:
      return ExitCode::kConfiguration;
    default:
      return ExitCode::kFailure;
  }
}

}  // namespace keyward::keyctl
