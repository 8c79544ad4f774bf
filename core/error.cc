#include "core/error.h"

#include <array>
#include <utility>

namespace keyward {
namespace {

struct CodeInfo {
  ErrorCode code;
  std::string_view name;
  Action action;
};

constexpr std::array kCodes = {
    CodeInfo{ErrorCode::kInvalidArgument, "InvalidArgument", Action::kFixRequest},
    CodeInfo{ErrorCode::kMalformed, "Malformed", Action::kFixRequest},
    CodeInfo{ErrorCode::kTooLarge, "TooLarge", Action::kFixRequest},
    CodeInfo{ErrorCode::kNotFound, "NotFound", Action::kFixRequest},
    CodeInfo{ErrorCode::kAlreadyExists, "AlreadyExists", Action::kFixRequest},
    CodeInfo{ErrorCode::kPermissionDenied, "PermissionDenied", Action::kAskAdmin},
    CodeInfo{ErrorCode::kUnknownProtocol, "UnknownProtocol", Action::kFixRequest},
    CodeInfo{ErrorCode::kUnknownPurpose, "UnknownPurpose", Action::kFixRequest},
    CodeInfo{ErrorCode::kNotSupported, "NotSupported", Action::kFixRequest},
    CodeInfo{ErrorCode::kPeerNotAllowed, "PeerNotAllowed", Action::kAskAdmin},
    CodeInfo{ErrorCode::kAuthenticationFailed, "AuthenticationFailed", Action::kReconnect},
    CodeInfo{ErrorCode::kStaleTimestamp, "StaleTimestamp", Action::kReconnect},
    CodeInfo{ErrorCode::kReplayed, "Replayed", Action::kGiveUp},
    CodeInfo{ErrorCode::kWrongState, "WrongState", Action::kFixRequest},
    CodeInfo{ErrorCode::kSessionClosed, "SessionClosed", Action::kReconnect},
    CodeInfo{ErrorCode::kRevoked, "Revoked", Action::kAskAdmin},
    CodeInfo{ErrorCode::kExpired, "Expired", Action::kReconnect},
    CodeInfo{ErrorCode::kBusy, "Busy", Action::kRetryLater},
    CodeInfo{ErrorCode::kResourceExhausted, "ResourceExhausted", Action::kRetryLater},
    CodeInfo{ErrorCode::kCustodianUnavailable, "CustodianUnavailable", Action::kRetryLater},
    CodeInfo{ErrorCode::kPinRejected, "PinRejected", Action::kProvision},
    CodeInfo{ErrorCode::kCustodianReplaced, "CustodianReplaced", Action::kProvision},
    CodeInfo{ErrorCode::kConfiguration, "Configuration", Action::kAskAdmin},
    CodeInfo{ErrorCode::kIo, "Io", Action::kRetryLater},
    CodeInfo{ErrorCode::kDataCorrupt, "DataCorrupt", Action::kAskAdmin},
    CodeInfo{ErrorCode::kCircuitBreakerOpen, "CircuitBreakerOpen", Action::kRetryLater},
    CodeInfo{ErrorCode::kUnreachable, "Unreachable", Action::kRetryLater},
    CodeInfo{ErrorCode::kSealed, "Sealed", Action::kUnseal},
    CodeInfo{ErrorCode::kNotInitialised, "NotInitialised", Action::kProvision},
    CodeInfo{ErrorCode::kRolledBack, "RolledBack", Action::kProvision},
    CodeInfo{ErrorCode::kPcrMismatch, "PcrMismatch", Action::kProvision},
    CodeInfo{ErrorCode::kCustodianCleared, "CustodianCleared", Action::kProvision},
    CodeInfo{ErrorCode::kLockedOut, "LockedOut", Action::kProvision},
    CodeInfo{ErrorCode::kCustodianBusy, "CustodianBusy", Action::kRetryLater},
    // The last one stands for every number that is no code.
    CodeInfo{ErrorCode::kInternal, "Internal", Action::kGiveUp},
};

const CodeInfo& Info(ErrorCode code) {
  for (const CodeInfo& info : kCodes) {
    if (info.code == code) return info;
  }
  return kCodes.back();
}

}  // namespace

Error::Error(ErrorCode code, std::string message)
    : code_(code), action_(DefaultAction(code)), message_(std::move(message)) {}

Error&& Error::WithAction(Action action) && {
  action_ = action;
  return std::move(*this);
}

Error&& Error::WithCause(std::string cause) && {
  cause_ = std::move(cause);
  return std::move(*this);
}

Error&& Error::WithRetryAfter(uint32_t milliseconds) && {
  retry_after_ms_ = milliseconds;
  return std::move(*this);
}

std::string Error::ToString() const {
  std::string text{Name(code_)};
  text.append(": ").append(message_).append(" (").append(Describe(action_)).append(")");
  return text;
}

std::string_view Name(ErrorCode code) { return Info(code).name; }

std::optional<ErrorCode> ErrorCodeFromName(std::string_view name) {
  for (const CodeInfo& info : kCodes) {
    if (info.name == name) return info.code;
  }
  return std::nullopt;
}

std::optional<ErrorCode> ErrorCodeFromNumber(uint16_t number) {
  for (const CodeInfo& info : kCodes) {
    if (static_cast<uint16_t>(info.code) == number) return info.code;
  }
  return std::nullopt;
}

std::string_view Describe(Action action) {
  switch (action) {
    case Action::kFixRequest:
      return "change the request";
    case Action::kRetry:
      return "try again";
    case Action::kRetryLater:
      return "try again later";
    case Action::kReconnect:
      return "open a new session";
    case Action::kAskAdmin:
      return "ask the administrator";
    case Action::kProvision:
      return "the token or TPM needs setting up";
    case Action::kUnseal:
      return "the service has to be unsealed";
    case Action::kGiveUp:
      return "it cannot succeed";
  }
  return "it cannot succeed";
}

Action DefaultAction(ErrorCode code) { return Info(code).action; }

}  // namespace keyward
