// Results on their way to the bus.
#pragma once

#include <utility>

#include "core/result.h"
#include "dbus/errors.h"

namespace keyward::bus {

// The value, or the error as the exception that sdbus-c++ turns into an error reply.
template <class T>
T Unwrap(Result<T> result) {
  if (!result) throw ToBusError(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace keyward::bus
