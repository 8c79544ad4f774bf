// One source for sdbus-c++ 1.2 (Debian 12) and 2.1 (Debian 13).
//
// The same in both, so not here: deriving from sdbus::ProxyInterfaces and AdaptorInterfaces with
// the generated classes, registerAdaptor() in the constructor and unregisterAdaptor() in the
// destructor of the derived class; sdbus::Struct (read it with get<I>()); sdbus::UnixFd (`{fd,
// adopt_fd}` takes ownership, `{fd}` duplicates, release() gives it up);
// setMethodCallTimeout(chrono duration).
#pragma once

#include <sdbus-c++/sdbus-c++.h>

#include <memory>
#include <string>
#include <utility>

#if __has_include(<sdbus-c++/VTableItems.h>)
#define KEYWARD_SDBUS_2 1
#else
#define KEYWARD_SDBUS_2 0
#endif

namespace keyward::bus {

// A 1.2 interface takes text where 2.1 takes a type of its own.
using ObjectPath = sdbus::ObjectPath;
#if KEYWARD_SDBUS_2
using ServiceName = sdbus::ServiceName;
#else
using ServiceName = std::string;
#endif

inline sdbus::Error MakeError(const std::string& name, const std::string& message) {
#if KEYWARD_SDBUS_2
  return {sdbus::Error::Name(name), message};
#else
  return {name, message};
#endif
}

// The unique bus name of the one who sent `message`, which the bus fills in.
inline std::string SenderOf(const sdbus::Message& message) {
#if KEYWARD_SDBUS_2
  const char* sender = message.getSender();
  return sender == nullptr ? std::string() : std::string(sender);
#else
  return message.getSender();
#endif
}

// The unique bus name of the one whose call `object` (an sdbus::IObject) is handling just now, on
// the thread that handles it; "" outside a call.
template <class Object>
std::string CurrentSender(const Object& object) {
#if KEYWARD_SDBUS_2
  const sdbus::Message message = object.getCurrentlyProcessedMessage();
  return message.isValid() ? SenderOf(message) : std::string();
#else
  const sdbus::Message* message = object.getCurrentlyProcessedMessage();
  return message == nullptr ? std::string() : SenderOf(*message);
#endif
}

// The name of the method that `object` is handling just now; "" outside a call.
template <class Object>
std::string CurrentMember(const Object& object) {
#if KEYWARD_SDBUS_2
  const sdbus::Message message = object.getCurrentlyProcessedMessage();
  const char* member = message.isValid() ? message.getMemberName() : nullptr;
  return member == nullptr ? std::string() : std::string(member);
#else
  const sdbus::Message* message = object.getCurrentlyProcessedMessage();
  return message == nullptr ? std::string() : message->getMemberName();
#endif
}

// Calls `handler(sdbus::Message&)` for each message that `rule` matches, until the slot is gone.
template <class Handler>
[[nodiscard]] sdbus::Slot AddMatch(sdbus::IConnection& connection, const std::string& rule,
                                   Handler handler) {
#if KEYWARD_SDBUS_2
  return connection.addMatch(
      rule, [handler = std::move(handler)](sdbus::Message&& message) mutable { handler(message); },
      sdbus::return_slot);
#else
  return connection.addMatch(rule, std::move(handler));
#endif
}

// Handles everything that waits; for a loop of one's own over getEventLoopPollData().
inline void ProcessPending(sdbus::IConnection& connection) {
#if KEYWARD_SDBUS_2
  while (connection.processPendingEvent()) {
  }
#else
  while (connection.processPendingRequest()) {
  }
#endif
}

// Connects to the bus at `address`; at "", to the system bus (DBUS_SYSTEM_BUS_ADDRESS, where set).
inline std::unique_ptr<sdbus::IConnection> ConnectToBus(const std::string& address) {
  return address.empty() ? sdbus::createSystemBusConnection()
                         : sdbus::createSessionBusConnectionWithAddress(address);
}

}  // namespace keyward::bus
