// What making and ending a key fail with alike. For keyd/key_*.cc alone.
#pragma once

#include "core/error.h"

namespace keyward {

inline Error NoSuchKey() { return {ErrorCode::kNotFound, "there is no such key"}; }

inline Error ChangeInProgress() {
  return Error(ErrorCode::kBusy, "another change of this key is in progress").WithRetryAfter(100);
}

inline Error SealedMeanwhile() {
  return {ErrorCode::kSealed, "the service was sealed before this came to its end"};
}

}  // namespace keyward
