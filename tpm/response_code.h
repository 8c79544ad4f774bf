// What the TPM and the stack above it say when something goes wrong, decoded in one place.
#pragma once

#include <tss2/tss2_common.h>

#include <string_view>

#include "core/result.h"

namespace keyward::tpm {

// What a failed command means to the one who sent it.
enum class Fault : uint8_t {
  kNone,
  kTransient,  // the TPM asks to send the same command again (TPM_RC_RETRY, YIELDED, TESTING, ...)
  kGone,       // nobody answers, or not with what the TPM would say: the connection is dead
  kReset,      // the TPM started anew: sessions and transient objects are lost
  kNoRoom,     // no slot for one more object or session
  kLockout,    // dictionary-attack lockout, which none of our objects is subject to
  kFailureMode,   // the TPM failed its self-test and refuses everything
  kUnauthorized,  // the authorization value is wrong
  kRejected,      // the parameters do not hold: a tampered blob, or one of another TPM
  kPolicy,        // the policy session does not satisfy the policy, or the PCRs changed since
  kDefined,       // there is an NV index of that handle
  kNvFull,        // no room in NV memory for one more index
  kUnexpected,    // anything else
};

// Sources: TPM 2.0 part 2, 6.6 (response codes); TSS 2.0 overview, 2.4 (layers of return codes).
Fault Classify(TSS2_RC rc);

// The error for a failure without a better story. `command` and the code go to its cause.
Error ToError(TSS2_RC rc, std::string_view command);

// How one command ended. `command` is a literal.
class [[nodiscard]] Outcome {
 public:
  Outcome(TSS2_RC rc, std::string_view command) : rc_(rc), command_(command) {}

  Fault fault() const { return Classify(rc_); }
  bool ok() const { return rc_ == TSS2_RC_SUCCESS; }
  Result<void> Check() const;
  // This failure under a code and message of the caller's choosing.
  Error As(ErrorCode code, std::string message) const;

 private:
  TSS2_RC rc_;
  std::string_view command_;
};

}  // namespace keyward::tpm
