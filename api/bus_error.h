// What a failure on the bus means in the vocabulary of core/error.h.
#pragma once

#include <string_view>

#include "core/result.h"
#include "dbus/sdbus_compat.h"

namespace keyward {

// `name` is a D-Bus error name. keyd's own carry their message over; the bus's become kUnreachable
// (no bus, no keyd, no answer), kPermissionDenied (the bus policy), kNotFound (no such object) and
// so on. Never fails: what is unknown is kInternal, with name and message as the cause.
Error ErrorFromBus(std::string_view name, std::string_view message);

// Runs `call`, which throws sdbus::Error, and gives what it returns.
template <class Call>
auto CallBus(Call&& call) -> Result<decltype(call())> {
  try {
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      return {};
    } else {
      return call();
    }
  } catch (const sdbus::Error& error) {
    return Fail(ErrorFromBus(error.getName(), error.getMessage()));
  }
}

}  // namespace keyward
