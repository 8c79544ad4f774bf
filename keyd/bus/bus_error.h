// Errors on their way to the bus.
#pragma once

#include <string>
#include <utility>

#include "core/result.h"
#include "dbus/names.h"
#include "dbus/sdbus_compat.h"

namespace keyward::bus {

// org.keyward.Keyd1.Error.<Code>; the cause stays here.
inline sdbus::Error ToBusError(const Error& error) {
  return MakeError(std::string(kErrorPrefix).append(Name(error.code())), error.message());
}

// The value, or the error as the exception that sdbus-c++ turns into an error reply.
template <class T>
T Unwrap(Result<T> result) {
  if (!result) throw ToBusError(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace keyward::bus
