// Arguments of a method call whose size the caller chooses: keyd reads them up to a limit.
//
// sdbus-c++ 1.2 takes a byte array apart element by element (32 MiB keep a core busy for about a
// second) and makes a message of its own of each variant, all of it before the method could ask who
// is calling. So the generated adaptor reads these types instead (dbus/CMakeLists.txt).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "dbus/errors.h"

namespace keyward::bus {

// A plaintext that Session.Seal takes. The channel takes 16 MiB.
inline constexpr size_t kMaxPlaintext = size_t{64} * 1024;
// A byte array of whatever method: such a plaintext's frame with all the metadata that it may have.
inline constexpr size_t kMaxByteArray = size_t{80} * 1024;
inline constexpr size_t kMaxOptions = 16;

// ay
struct ByteArray {
  Bytes bytes;
};

// a{sv}, where each value is a u.
struct Options {
  std::map<std::string, uint32_t> values;
};

// Throws sdbus::Error TooLarge once it has read kMaxByteArray bytes and there is one more.
inline sdbus::Message& operator>>(sdbus::Message& message, ByteArray& array) {
  if (!message.enterContainer("y")) return message;
  for (uint8_t byte = 0; message >> byte;) {
    if (array.bytes.size() == kMaxByteArray) {
      throw ToBusError(
          Error(ErrorCode::kTooLarge,
                "a byte array on the bus has at most 80 KiB; send more over the channel"));
    }
    array.bytes.push_back(byte);
  }
  message.clearFlags();
  return message.exitContainer();
}

// The value of an option. Throws sdbus::Error InvalidArgument for one that is no u, and leaves it
// unread.
inline uint32_t ReadNumber(sdbus::Message& message) {
  try {
    message.enterVariant("u");
  } catch (const sdbus::Error&) {
    throw ToBusError(
        Error(ErrorCode::kInvalidArgument, "the value of an option is a 32-bit number (u)"));
  }
  uint32_t number = 0;
  message >> number;
  message.exitVariant();
  return number;
}

// Throws sdbus::Error: TooLarge once it has read kMaxOptions and there is one more, and
// ReadNumber's.
inline sdbus::Message& operator>>(sdbus::Message& message, Options& options) {
  if (!message.enterContainer("{sv}")) return message;
  for (size_t count = 0; message.enterDictEntry("sv"); ++count) {
    if (count == kMaxOptions) {
      throw ToBusError(Error(ErrorCode::kTooLarge, "there are at most 16 options"));
    }
    std::string name;
    message >> name;
    options.values[name] = ReadNumber(message);
    message.exitDictEntry();
  }
  message.clearFlags();
  return message.exitContainer();
}

}  // namespace keyward::bus

template <>
struct sdbus::signature_of<keyward::bus::ByteArray> : sdbus::signature_of<std::vector<uint8_t>> {};
template <>
struct sdbus::signature_of<keyward::bus::Options>
    : sdbus::signature_of<std::map<std::string, sdbus::Variant>> {};
