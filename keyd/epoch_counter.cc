#include "keyd/epoch_counter.h"

namespace keyward {

Result<void> RaiseTo(Counter& counter, const KeyId& id, uint64_t epoch) {
  KEYWARD_ASSIGN(uint64_t value, counter.Read(id));
  if (value + 1 == epoch) {
    KEYWARD_ASSIGN(value, counter.Increment(id));
  }
  if (value == epoch) return {};
  return Fail(Error(ErrorCode::kRolledBack,
                    "the hardware's counter is not where this keyd left it: another one uses the "
                    "same state or hardware; stop it")
                  .WithCause(std::to_string(value) + " instead of " + std::to_string(epoch)));
}

Result<void> CheckEpoch(uint64_t epoch, uint64_t value) {
  if (epoch == value || epoch == value + 1) return {};
  const std::string cause =
      "epoch " + std::to_string(epoch) + ", hardware counter " + std::to_string(value);
  if (epoch < value) {
    return Fail(Error(ErrorCode::kRolledBack,
                      "state.db is an old copy: later changes, such as revocations, are not in it; "
                      "put back the latest one, or restore a backup")
                    .WithCause(cause));
  }
  return Fail(Error(ErrorCode::kRolledBack,
                    "state.db is ahead of the hardware's counter, which was reset or is another "
                    "one: bring back the hardware, or restore a backup")
                  .WithCause(cause));
}

}  // namespace keyward
