#include "tpm/response_code.h"

#include <fmt/core.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tpm2_types.h>

namespace keyward::tpm {
namespace {

constexpr TSS2_RC kLayerMask = 0xff0000;
constexpr TSS2_RC kLayerShift = 16;
constexpr TSS2_RC kTpmLayer = 0;
constexpr TSS2_RC kEsapiLayer = 7;
constexpr TSS2_RC kSysLayer = 8;
constexpr TSS2_RC kMuLayer = 9;
constexpr TSS2_RC kTctiLayer = 10;
constexpr TSS2_RC kResourceManagerLayer = 11;     // a code of its own, in the TPM's numbering
constexpr TSS2_RC kResourceManagerTpmLayer = 12;  // the TPM's code, passed on

// Format-one codes name the parameter, handle or session at fault in bits that do not matter here.
constexpr TSS2_RC kFormatOne = 0x080;
constexpr TSS2_RC kFormatOneMask = 0x0bf;

Fault ClassifyFormatOne(TSS2_RC code) {
  switch (code & kFormatOneMask) {
    case TPM2_RC_AUTH_FAIL:
    case TPM2_RC_BAD_AUTH:
      return Fault::kUnauthorized;
    case TPM2_RC_POLICY_FAIL:
      return Fault::kPolicy;
    case TPM2_RC_HANDLE:  // an object or session that the TPM had, and has no more
      return Fault::kReset;
    default:
      return Fault::kRejected;
  }
}

Fault ClassifyFormatZero(TSS2_RC code) {
  if (code >= TPM2_RC_REFERENCE_H0 && code <= TPM2_RC_REFERENCE_S6) return Fault::kReset;
  switch (code) {
    case TPM2_RC_INITIALIZE:
    case TPM2_RC_CONTEXT_GAP:
      return Fault::kReset;
    case TPM2_RC_RETRY:
    case TPM2_RC_YIELDED:
    case TPM2_RC_TESTING:
    case TPM2_RC_CANCELED:
    case TPM2_RC_NV_RATE:
    case TPM2_RC_NV_UNAVAILABLE:
      return Fault::kTransient;
    case TPM2_RC_OBJECT_MEMORY:
    case TPM2_RC_OBJECT_HANDLES:
    case TPM2_RC_SESSION_MEMORY:
    case TPM2_RC_SESSION_HANDLES:
    case TPM2_RC_MEMORY:
      return Fault::kNoRoom;
    case TPM2_RC_LOCKOUT:
      return Fault::kLockout;
    case TPM2_RC_FAILURE:
      return Fault::kFailureMode;
    case TPM2_RC_PCR_CHANGED:
      return Fault::kPolicy;
    case TPM2_RC_NV_DEFINED:
      return Fault::kDefined;
    case TPM2_RC_NV_SPACE:
      return Fault::kNvFull;
    default:
      return Fault::kUnexpected;
  }
}

// ESAPI and SAPI: a broken conversation, or arguments that they would not even send.
Fault ClassifyStack(TSS2_RC base) {
  switch (base) {
    case TSS2_BASE_RC_BAD_SEQUENCE:
    case TSS2_BASE_RC_IO_ERROR:
    case TSS2_BASE_RC_GENERAL_FAILURE:
    case TSS2_BASE_RC_MALFORMED_RESPONSE:
    case TSS2_BASE_RC_INSUFFICIENT_RESPONSE:
    case TSS2_BASE_RC_RSP_AUTH_FAILED:
      return Fault::kGone;
    case TSS2_BASE_RC_BAD_VALUE:
    case TSS2_BASE_RC_BAD_SIZE:
      return Fault::kRejected;
    default:
      return Fault::kUnexpected;
  }
}

struct Explanation {
  ErrorCode code;
  Action action;
  std::string_view message;
};

Explanation Explain(Fault fault) {
  switch (fault) {
    case Fault::kTransient:
      return {ErrorCode::kCustodianBusy, Action::kRetryLater, "the TPM is busy"};
    case Fault::kGone:
      return {ErrorCode::kCustodianUnavailable, Action::kRetryLater,
              "the TPM does not answer; check that it is there and that keyd may open it"};
    case Fault::kReset:
      return {ErrorCode::kCustodianUnavailable, Action::kRetry, "the TPM was restarted"};
    case Fault::kNoRoom:
      return {ErrorCode::kCustodianBusy, Action::kRetryLater,
              "the TPM is full of other programs' objects or sessions; end those programs"};
    case Fault::kLockout:
      return {ErrorCode::kLockedOut, Action::kProvision,
              "the TPM is locked after wrong passwords of other programs; wait, or run "
              "tpm2_dictionarylockout --clear-lockout"};
    case Fault::kFailureMode:
      return {ErrorCode::kCustodianUnavailable, Action::kProvision,
              "the TPM failed its self-test; restart the machine, or replace the TPM"};
    case Fault::kUnauthorized:
      return {ErrorCode::kAuthenticationFailed, Action::kGiveUp,
              "the TPM refuses the authorization"};
    case Fault::kPolicy:
      return {ErrorCode::kPcrMismatch, Action::kProvision,
              "the TPM's PCRs are not in the state that the policy allows"};
    case Fault::kDefined:
      return {ErrorCode::kAlreadyExists, Action::kFixRequest,
              "the TPM has an NV index of that name already"};
    case Fault::kNvFull:
      return {ErrorCode::kResourceExhausted, Action::kProvision,
              "the TPM's NV memory is full; remove an index that nobody uses with "
              "tpm2_nvundefine"};
    case Fault::kNone:
    case Fault::kRejected:
    case Fault::kUnexpected:
      break;
  }
  return {ErrorCode::kInternal, Action::kGiveUp, "the TPM refuses the command"};
}

}  // namespace

Fault Classify(TSS2_RC rc) {
  if (rc == TSS2_RC_SUCCESS) return Fault::kNone;
  const TSS2_RC code = rc & ~kLayerMask;
  switch ((rc & kLayerMask) >> kLayerShift) {
    case kTpmLayer:
    case kResourceManagerLayer:
    case kResourceManagerTpmLayer:
      if (code < kFormatOne) return ClassifyStack(code);  // a resource manager's own trouble
      return (code & kFormatOne) != 0 ? ClassifyFormatOne(code) : ClassifyFormatZero(code);
    case kTctiLayer:
      return Fault::kGone;
    case kEsapiLayer:
    case kSysLayer:
      return ClassifyStack(code);
    case kMuLayer:
      return Fault::kRejected;
    default:
      return Fault::kUnexpected;
  }
}

Error ToError(TSS2_RC rc, std::string_view command) {
  const Explanation explanation = Explain(Classify(rc));
  return Error(explanation.code, std::string(explanation.message))
      .WithAction(explanation.action)
      .WithCause(fmt::format("{}: 0x{:x} {}", command, rc, Tss2_RC_Decode(rc)));
}

Result<void> Outcome::Check() const {
  if (ok()) return {};
  return Fail(ToError(rc_, command_));
}

Error Outcome::As(ErrorCode code, std::string message) const {
  return Error(code, std::move(message)).WithCause(ToError(rc_, command_).cause());
}

}  // namespace keyward::tpm
