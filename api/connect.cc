#include "api/connect.h"

#include <poll.h>

#include <cerrno>

#include "api/bus_connection.h"

namespace keyward {
namespace {

constexpr const char* kBusService = "org.freedesktop.DBus";
constexpr const char* kBusPath = "/org/freedesktop/DBus";

bool HasOwner(sdbus::IConnection& connection) {
  bool owned = false;
  sdbus::createProxy(connection, bus::ServiceName(kBusService), bus::ObjectPath(kBusPath))
      ->callMethod("NameHasOwner")
      .onInterface(kBusService)
      .withArguments(std::string(bus::kService))
      .storeResultsTo(owned);
  return owned;
}

std::string OwnerChangedRule() {
  return std::string(
             "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='") +
         bus::kService + "'";
}

// False when the deadline passed first.
bool WaitForMessage(sdbus::IConnection& connection, const Deadline& deadline) {
  const auto data = connection.getEventLoopPollData();
  pollfd entry{data.fd, static_cast<int16_t>(data.events), 0};
  return poll(&entry, 1, deadline.PollTimeout()) != 0;
}

}  // namespace

Result<std::shared_ptr<BusConnection>> BusConnection::Open(const ConnectOptions& options) {
  return CallBus([&] {
    std::unique_ptr<sdbus::IConnection> connection = bus::ConnectToBus(options.bus_address);
    connection->setMethodCallTimeout(options.timeout);
    return std::shared_ptr<BusConnection>(new BusConnection(std::move(connection)));
  });
}

Result<void> WaitForKeyd(const ConnectOptions& options, std::chrono::milliseconds patience) {
  const Deadline deadline(patience);
  KEYWARD_ASSIGN(const std::shared_ptr<BusConnection> bus, BusConnection::Open(options));
  const Result<bool> appeared = CallBus([&] {
    bool changed = false;
    // Listens before it asks, so that no change can fall in between.
    const sdbus::Slot slot = bus::AddMatch(bus->connection(), OwnerChangedRule(),
                                           [&changed](sdbus::Message&) { changed = true; });
    while (!HasOwner(bus->connection())) {
      changed = false;
      while (!changed) {
        bus::ProcessPending(bus->connection());
        if (!changed && !WaitForMessage(bus->connection(), deadline)) return false;
      }
    }
    return true;
  });
  if (!appeared) return Fail(appeared.error());
  if (!*appeared) return Fail(ErrorCode::kUnreachable, "keyd did not start in time");
  return {};
}

}  // namespace keyward
