// Why something failed, in a closed vocabulary, with what the caller should do about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keyward {

// Each code is a D-Bus error name (org.keyward.Keyd1.Error.<Name>) and a channel status. The
// numbers are the channel's wire format: never renumber, only append.
enum class ErrorCode : uint16_t {
  kInvalidArgument = 1,        // the request itself is wrong
  kMalformed = 2,              // bytes that do not parse as what they claim to be
  kTooLarge = 3,               // beyond a documented limit
  kNotFound = 4,               // no such key, module, peer or session
  kAlreadyExists = 5,          //
  kPermissionDenied = 6,       // no rule of the policy allows the caller this
  kUnknownProtocol = 7,        //
  kUnknownPurpose = 8,         //
  kNotSupported = 9,           // known, but not on this custodian, key or build
  kPeerNotAllowed = 10,        // the peer is not one that this module may talk to
  kAuthenticationFailed = 11,  // wrong signature, tag or PIN
  kStaleTimestamp = 12,        // the peer's clock is further off than allowed
  kReplayed = 13,              // a message seen before, or out of order
  kWrongState = 14,            // the operation does not fit the state of its object
  kSessionClosed = 15,         // ended by close, expiry or shutdown
  kRevoked = 16,               // the key or identity was revoked
  kExpired = 17,               //
  kBusy = 18,                  // a queue is full; retry after `retry_after_ms`
  kResourceExhausted = 19,     // memory that may hold secrets, descriptors, disk
  kCustodianUnavailable = 20,  // the token or TPM is missing or does not answer
  kPinRejected = 21,           // the token refused the PIN; it is not tried again
  kCustodianReplaced = 22,     // another TPM or token than the one pinned on first use
  kConfiguration = 23,         // security.yaml or a command line is not valid
  kIo = 24,                    // a file, socket or bus failed
  kDataCorrupt = 25,           // stored state does not hold together
  kInternal = 26,              // a defect of Keyward's own
  kCircuitBreakerOpen = 27,    // hardware failed repeatedly and rests; see `retry_after_ms`
  kUnreachable = 28,           // client side: no bus, no keyd on it, or no answer in time
  kSealed = 29,                // the service is sealed; see keyctl unseal
  kNotInitialised = 30,        // there is no master key; see keyctl init
  kRolledBack = 31,            // the stored state is an older copy than the hardware counter says
  kPcrMismatch = 32,           // the TPM's PCRs are in no state that a signed policy allows
  kCustodianCleared = 33,      // the TPM was cleared, or the token initialised anew
  kLockedOut = 34,             // the TPM's dictionary-attack lockout, or a locked PIN
  kCustodianBusy = 35,         // the TPM or token asks to be asked again, and went on doing so
};

// What the one who gets the error should do next.
enum class Action : uint8_t {
  kFixRequest = 1,  // change the request
  kRetry = 2,       // the same call may go through at once
  kRetryLater = 3,  // the same call may go through after a while
  kReconnect = 4,   // open a new session or connection
  kAskAdmin = 5,    // someone has to change the policy or the enrolment
  kProvision = 6,   // someone has to set up or repair the token, TPM or PIN
  kGiveUp = 7,      // it will not go through
  kUnseal = 8,      // an admin has to unseal the service
};

// A failure. `message` is public: it reaches clients, so it names no secret, path or other caller.
// `cause` is for the daemon's own log and never leaves it.
class Error {
 public:
  Error(ErrorCode code, std::string message);

  Error&& WithAction(Action action) &&;
  Error&& WithCause(std::string cause) &&;
  Error&& WithRetryAfter(uint32_t milliseconds) &&;

  ErrorCode code() const { return code_; }
  Action action() const { return action_; }
  const std::string& message() const { return message_; }
  const std::string& cause() const { return cause_; }
  uint32_t retry_after_ms() const { return retry_after_ms_; }

  // "PermissionDenied: message (ask the administrator)"; never includes the cause.
  std::string ToString() const;

 private:
  ErrorCode code_;
  Action action_;
  uint32_t retry_after_ms_ = 0;
  std::string message_;
  std::string cause_;
};

// "PermissionDenied"; "Internal" for a number that is no code.
std::string_view Name(ErrorCode code);
std::optional<ErrorCode> ErrorCodeFromName(std::string_view name);
std::optional<ErrorCode> ErrorCodeFromNumber(uint16_t number);
// "ask the administrator"
std::string_view Describe(Action action);
// What to do about `code` where nothing more is known.
Action DefaultAction(ErrorCode code);

}  // namespace keyward
