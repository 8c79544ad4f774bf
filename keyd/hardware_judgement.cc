#include "keyd/hardware_judgement.h"

#include <fmt/core.h>

#include <algorithm>

namespace keyward {

bool TellsOfCounter(const Result<uint64_t>& counter) {
  return counter || counter.error().code() == ErrorCode::kNotFound;
}

std::optional<Error> JudgeCounter(const Result<uint64_t>& counter, uint64_t epoch) {
  if (!counter && counter.error().code() == ErrorCode::kNotFound) {
    return Error(ErrorCode::kCustodianCleared,
                 "the hardware has lost the counter that this service's state depends on: it was "
                 "initialised anew or cleared; keyd goes on with what it has in memory, and "
                 "neither changes anything nor starts again: bring the former hardware back, or "
                 "restore a backup");
  }
  if (!counter || *counter == epoch || *counter + 1 == epoch) return std::nullopt;
  return Error(ErrorCode::kRolledBack,
               fmt::format("the counter in the hardware is at {}, and the stored state at {}: "
                           "somebody counts beside keyd, or brought an old state of the hardware "
                           "back; keyd goes on, and will not start again: restore a backup",
                           *counter, epoch));
}

std::optional<Error> JudgeKey(bool held) {
  if (held) return std::nullopt;
  return Error(ErrorCode::kCustodianCleared,
               "the hardware has lost a key that is recorded as kept in it: it was initialised "
               "anew, or somebody removed that key; what it lost signs and opens nothing any more: "
               "bring the former hardware back, or restore a backup");
}

std::optional<Error> JudgePcrs(std::span<const SignedPcrPolicy> policies, const PcrValues& values) {
  const auto holds_or_unknown = [&values](const SignedPcrPolicy& policy) {
    return IsInState(values, policy.pcrs, policy.digest).value_or(true);
  };
  if (policies.empty() || std::ranges::any_of(policies, holds_or_unknown)) return std::nullopt;
  return Error(ErrorCode::kPcrMismatch,
               "the PCRs have left every state that was signed: keyd goes on, and the TPM will not "
               "release the master key again; find out what extended them, then restart the "
               "machine, or sign this state with keyctl policy pcr sign");
}

}  // namespace keyward
