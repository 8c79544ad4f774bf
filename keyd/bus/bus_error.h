// Results on their way to the bus.
#pragma once

#include <utility>

#include "core/result.h"
#include "dbus/errors.h"
#include "keyd/log.h"

namespace keyward::bus {

// Logs what the client is not told.
inline void LogCause(const Error& error) {
  if (!error.cause().empty()) LogError("a call failed", error);
}

// The value, or the error as the exception that sdbus-c++ turns into an error reply.
template <class T>
T Unwrap(Result<T> result) {
  if (!result) {
    LogCause(result.error());
    throw ToBusError(result.error());
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace keyward::bus
