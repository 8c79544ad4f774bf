#include "api/client.h"

#include <map>
#include <tuple>

#include "api/bus_connection.h"

namespace keyward {
namespace {

using Opened = std::tuple<sdbus::ObjectPath, sdbus::UnixFd>;

const char* RoleName(Role role) { return role == Role::kInitiator ? "initiator" : "responder"; }

std::map<std::string, sdbus::Variant> BusOptions(const SessionOptions& options) {
  std::map<std::string, sdbus::Variant> fields;
  if (options.lifetime.count() > 0) {
    fields.emplace("timeout", sdbus::Variant(static_cast<uint32_t>(options.lifetime.count())));
  }
  return fields;
}

Result<void> CheckOptions(const SessionOptions& options) {
  if (options.role != Role::kInitiator && options.role != Role::kResponder) {
    return Fail(ErrorCode::kInvalidArgument, "the session's role is not set");
  }
  if (options.lifetime.count() < 0 || options.lifetime > std::chrono::hours(24 * 365)) {
    return Fail(ErrorCode::kInvalidArgument, "the session's lifetime is out of range");
  }
  return {};
}

}  // namespace

BootSummary BootFromBus(ManagerProxy& keyd) {
  const auto boot = keyd.Boot();
  const std::vector<uint32_t>& pcrs = boot.get<5>();
  return {.state = boot.get<0>(),
          .detail = boot.get<1>(),
          .id = boot.get<2>(),
          .quote = boot.get<3>(),
          .quoted = WallTime(std::chrono::seconds(boot.get<4>())),
          .pcrs = PcrSelection(pcrs.begin(), pcrs.end())};
}

Client::Client(std::shared_ptr<BusConnection> bus) : bus_(std::move(bus)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::Connect(const ConnectOptions& options) {
  KEYWARD_ASSIGN(std::shared_ptr<BusConnection> bus, BusConnection::Open(options));
  return Client(std::move(bus));
}

Result<Session> Client::OpenSession(const SessionOptions& options) {
  KEYWARD_TRY(CheckOptions(options));
  KEYWARD_ASSIGN(Opened opened, bus_->With<ManagerProxy>(bus::kRootPath, [&](ManagerProxy& keyd) {
    return keyd.OpenSession(options.key, options.protocol, RoleName(options.role), options.peer,
                            BusOptions(options));
  }));
  UniqueFd channel(std::get<1>(opened).release());
  return Session::Create(std::get<0>(opened), options.role, std::move(channel));
}

Result<Key> Client::OpenKey(const std::string& name) {
  KEYWARD_ASSIGN(Opened opened, bus_->With<ManagerProxy>(bus::kRootPath, [&](ManagerProxy& keyd) {
    return keyd.OpenKey(name);
  }));
  UniqueFd channel(std::get<1>(opened).release());
  return Key::Create(name, std::get<0>(opened), std::move(channel), bus_);
}

Result<std::vector<KeySummary>> Client::ListKeys() {
  KEYWARD_ASSIGN(const auto rows, bus_->With<ManagerProxy>(bus::kRootPath, [](ManagerProxy& keyd) {
    return keyd.ListKeys();
  }));
  std::vector<KeySummary> keys;
  keys.reserve(rows.size());
  for (const auto& row : rows) {
    keys.push_back({row.template get<0>(), row.template get<1>(), row.template get<2>(),
                    row.template get<3>(), row.template get<4>(), row.template get<5>()});
  }
  return keys;
}

Result<BootSummary> Client::Boot() { return bus_->With<ManagerProxy>(bus::kRootPath, BootFromBus); }

}  // namespace keyward
