#include "keyd/bus/callers.h"

#include <algorithm>

#include "keyd/bus/bus_error.h"

namespace keyward::bus {
namespace {

constexpr const char* kBusName = "org.freedesktop.DBus";
constexpr const char* kBusPath = "/org/freedesktop/DBus";
constexpr const char* kOwnerChanged =
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
    "member='NameOwnerChanged',arg2=''";
// sd-bus runs matches on a message before it gives it to its object, one message after the other.
// Every call, since one of Properties need not name its interface.
constexpr const char* kAnyCall = "type='method_call'";

}  // namespace

Callers::Callers(sdbus::IConnection& connection)
    : bus_(sdbus::createProxy(connection, ServiceName(kBusName), ObjectPath(kBusPath))),
      on_owner_changed_(AddMatch(connection, kOwnerChanged,
                                 [this](sdbus::Message& message) {
                                   std::string name;
                                   message >> name;
                                   known_.erase(name);
                                 })),
      on_call_(AddMatch(connection, kAnyCall,
                        [this](const sdbus::Message& call) { last_sender_ = SenderOf(call); })) {}

policy::Caller Callers::Identify(const std::string& sender) {
  if (const auto known = known_.find(sender); known != known_.end()) return known->second;
  std::map<std::string, sdbus::Variant> credentials;
  bus_->callMethod("GetConnectionCredentials")
      .onInterface(kBusName)
      .withArguments(sender)
      .storeResultsTo(credentials);
  const auto uid = credentials.find("UnixUserID");
  if (uid == credentials.end()) {
    throw ToBusError(Error(ErrorCode::kPermissionDenied, "the bus does not say who is calling"));
  }
  policy::Caller caller{uid->second.get<uint32_t>(), {}};
  const auto gids = credentials.find("UnixGroupIDs");
  if (gids != credentials.end()) caller.gids = gids->second.get<std::vector<uint32_t>>();
  return known_.emplace(sender, std::move(caller)).first->second;
}

}  // namespace keyward::bus
