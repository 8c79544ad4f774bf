// Who is calling, as the bus vouches for it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "dbus/sdbus_compat.h"
#include "policy/policy.h"

namespace keyward::bus {

// Asks the bus once for each connection and remembers the answer until that connection is gone.
// Belongs to the bus thread.
class Callers {
 public:
  explicit Callers(sdbus::IConnection& connection);

  // The caller of the method that `object` is handling. Throws sdbus::Error when the bus does not
  // say.
  template <class Object>
  policy::Caller Current(const Object& object) {
    return Identify(CurrentSender(object));
  }
  // The caller who reads the property whose getter runs just now: sdbus-c++ tells a getter nothing
  // of the call. Throws as Current does.
  policy::Caller Reader() { return Identify(last_sender_); }

 private:
  policy::Caller Identify(const std::string& sender);

  std::unique_ptr<sdbus::IProxy> bus_;
  std::map<std::string, policy::Caller> known_;
  sdbus::Slot on_owner_changed_;
  std::string last_sender_;
  sdbus::Slot on_call_;
};

}  // namespace keyward::bus
