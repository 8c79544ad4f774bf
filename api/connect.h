// How to reach keyd.
#pragma once

#include <string>

#include "api/deadline.h"
#include "core/result.h"

namespace keyward {

struct ConnectOptions {
  // A D-Bus address; "" is the system bus, or DBUS_SYSTEM_BUS_ADDRESS where that is set.
  std::string bus_address;
  // How long one call on the bus may take.
  std::chrono::milliseconds timeout = kDefaultTimeout;
};

// Returns once a keyd owns its name on the bus. Wakes on the bus's own notice, so it may wait long.
// Errors: kUnreachable (no bus, or no keyd within `patience`), kPermissionDenied (by the bus).
Result<void> WaitForKeyd(const ConnectOptions& options, std::chrono::milliseconds patience);

}  // namespace keyward
