// A connection to the bus and the proxies on it; the only place of libkeyward that keeps sdbus-c++
// objects.
#pragma once

#include <memory>
#include <string>

#include "api/bus_error.h"
#include "api/client.h"
#include "api/connect.h"
#include "dbus/generated/proxy.h"
#include "dbus/names.h"
#include "dbus/sdbus_compat.h"

namespace keyward {

// Its signal is for those who watch the bus: a handle signs with whichever version is active.
class KeyInterface : public org::keyward::Keyd1::Key_proxy {
 protected:
  using Key_proxy::Key_proxy;
  ~KeyInterface() = default;

 private:
  void onVersionChanged(const uint32_t& /*version*/, const std::string& /*state*/) override {}
};

// One of the generated proxies, on one object of keyd. Calls block; no thread of its own. The
// connection must outlive it. (The Session proxy is not used: its work goes over the channel.)
template <class Interface>
class BusProxy final : public sdbus::ProxyInterfaces<Interface> {
 public:
  BusProxy(sdbus::IConnection& connection, const std::string& path)
      : sdbus::ProxyInterfaces<Interface>(connection, bus::ServiceName(bus::kService),
                                          bus::ObjectPath(path)) {}
};

using ManagerProxy = BusProxy<org::keyward::Keyd1::Manager_proxy>;
using KeyProxy = BusProxy<KeyInterface>;
using AdminProxy = BusProxy<org::keyward::Keyd1::Admin_proxy>;

// The property Boot.
BootSummary BootFromBus(ManagerProxy& keyd);

// One thread at a time.
class BusConnection {
 public:
  // Errors: kUnreachable, kPermissionDenied.
  static Result<std::shared_ptr<BusConnection>> Open(const ConnectOptions& options);

  sdbus::IConnection& connection() { return *connection_; }
  // Runs `call` on a proxy of the object at `path`; errors as ErrorFromBus.
  template <class Proxy, class Call>
  auto With(const std::string& path, Call&& call) {
    return CallBus([&] {
      Proxy proxy(*connection_, path);
      return call(proxy);
    });
  }

 private:
  explicit BusConnection(std::unique_ptr<sdbus::IConnection> connection)
      : connection_(std::move(connection)) {}

  std::unique_ptr<sdbus::IConnection> connection_;
};

}  // namespace keyward
