#include "api/bus_error.h"

#include <array>
#include <string>

#include "dbus/names.h"

namespace keyward {
namespace {

struct Meaning {
  std::string_view name;  // without "org.freedesktop.DBus.Error."
  ErrorCode code;
  std::string_view message;
};

constexpr std::string_view kNotRunning = "keyd is not running";
constexpr std::string_view kNoBus = "the D-Bus system bus cannot be reached";
constexpr std::string_view kNoAnswer = "keyd did not answer in time";
constexpr std::string_view kOtherVersion = "keyd does not know this; it is of another version";

// The D-Bus specification's names, and those that sd-bus makes of errno.
constexpr std::array kMeanings = {
    Meaning{"ServiceUnknown", ErrorCode::kUnreachable, kNotRunning},
    Meaning{"NameHasNoOwner", ErrorCode::kUnreachable, kNotRunning},
    Meaning{"FileNotFound", ErrorCode::kUnreachable, kNoBus},
    Meaning{"NoServer", ErrorCode::kUnreachable, kNoBus},
    Meaning{"Disconnected", ErrorCode::kUnreachable, kNoBus},
    Meaning{"BadAddress", ErrorCode::kUnreachable, kNoBus},
    Meaning{"IOError", ErrorCode::kUnreachable, kNoBus},
    Meaning{"NoReply", ErrorCode::kUnreachable, kNoAnswer},
    Meaning{"Timeout", ErrorCode::kUnreachable, kNoAnswer},
    Meaning{"TimedOut", ErrorCode::kUnreachable, kNoAnswer},
    Meaning{"AccessDenied", ErrorCode::kPermissionDenied, "the bus policy forbids this call"},
    Meaning{"AuthFailed", ErrorCode::kPermissionDenied, "the bus refused this user"},
    Meaning{"UnknownObject", ErrorCode::kNotFound, "there is no such object"},
    Meaning{"UnknownMethod", ErrorCode::kNotSupported, kOtherVersion},
    Meaning{"UnknownInterface", ErrorCode::kNotSupported, kOtherVersion},
    Meaning{"UnknownProperty", ErrorCode::kNotSupported, kOtherVersion},
    Meaning{"InvalidArgs", ErrorCode::kInvalidArgument, "an argument is not valid on the bus"},
    Meaning{"LimitsExceeded", ErrorCode::kResourceExhausted, "a limit of the bus was reached"},
    Meaning{"NoMemory", ErrorCode::kResourceExhausted, "the bus is out of memory"},
};

bool TakePrefix(std::string_view& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  return true;
}

std::string CauseOf(std::string_view name, std::string_view message) {
  return std::string(name).append(": ").append(message);
}

}  // namespace

Error ErrorFromBus(std::string_view name, std::string_view message) {
  std::string cause = CauseOf(name, message);
  if (TakePrefix(name, bus::kErrorPrefix)) {
    const ErrorCode code = ErrorCodeFromName(name).value_or(ErrorCode::kInternal);
    return {code, std::string(message)};
  }
  if (TakePrefix(name, "org.freedesktop.DBus.Error.Spawn.")) {
    return Error(ErrorCode::kUnreachable, "keyd could not be started").WithCause(std::move(cause));
  }
  if (TakePrefix(name, "System.Error.")) {  // an errno of sd-bus: ECONNREFUSED, ENOTCONN, EPIPE
    return Error(ErrorCode::kUnreachable, std::string(kNoBus)).WithCause(std::move(cause));
  }
  TakePrefix(name, "org.freedesktop.DBus.Error.");
  for (const Meaning& meaning : kMeanings) {
    if (meaning.name == name) {
      return Error(meaning.code, std::string(meaning.message)).WithCause(std::move(cause));
    }
  }
  return Error(ErrorCode::kInternal, "the bus gave an unknown error").WithCause(std::move(cause));
}

}  // namespace keyward
