// Errors on their way to the bus.
#pragma once

#include <string>

#include "core/error.h"
#include "dbus/names.h"
#include "dbus/sdbus_compat.h"

namespace keyward::bus {

// org.keyward.Keyd1.Error.<Code>; the cause stays here.
inline sdbus::Error ToBusError(const Error& error) {
  return MakeError(std::string(kErrorPrefix).append(Name(error.code())), error.message());
}

}  // namespace keyward::bus
