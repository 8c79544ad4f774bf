#include "keyd/bus/bus_server.h"

#include <utility>

#include "dbus/names.h"
#include "keyd/log.h"

namespace keyward::bus {
namespace {

std::unexpected<Error> BusFailed(const sdbus::Error& error) {
  const std::string& name = error.getName();
  if (name == "org.freedesktop.DBus.Error.AccessDenied" || name == "System.Error.EACCES" ||
      name == "System.Error.EPERM") {
    return Fail(Error(ErrorCode::kPermissionDenied,
                      "the bus does not let this user own org.keyward.Keyd1; install the bus "
                      "policy dbus/org.keyward.Keyd1.conf")
                    .WithCause(error.getMessage()));
  }
  if (name == "org.freedesktop.DBus.Error.FileExists" || name == "System.Error.EEXIST") {
    return Fail(Error(ErrorCode::kAlreadyExists, "another keyd serves this bus already")
                    .WithCause(error.getMessage()));
  }
  return Fail(Error(ErrorCode::kIo, "the bus does not answer").WithCause(error.what()));
}

}  // namespace

Result<void> BusServer::Connect() {
  try {
    std::shared_ptr<sdbus::IConnection> connection = ConnectToBus("");
    context_.reset(new Context{connection, Callers(*connection), parts_.daemon, parts_.service,
                               parts_.admin, parts_.backups, parts_.second_seal, parts_.audit,
                               parts_.started});
    AddObjects();
    connection->requestName(ServiceName(kService));
  } catch (const sdbus::Error& error) {
    Disconnect();
    return BusFailed(error);
  }
  return {};
}

Result<BusPoll> BusServer::Poll() {
  try {
    const auto data = context_->connection->getEventLoopPollData();
    return BusPoll{data.fd, data.events, data.getPollTimeout()};
  } catch (const sdbus::Error& error) {
    Disconnect();
    return BusFailed(error);
  }
}

Result<void> BusServer::Process() {
  try {
    ProcessPending(*context_->connection);
  } catch (const sdbus::Error& error) {
    Disconnect();
    return BusFailed(error);
  }
  return {};
}

void BusServer::AddObjects() {
  manager_ = std::make_unique<ManagerObject>(
      *context_, [this](std::shared_ptr<LiveSession> session) { AddSession(std::move(session)); });
  admin_ = std::make_unique<AdminObject>(*context_, [this] { SyncKeys(); });
  SyncKeys();
  parts_.daemon.on_vault_changed = [this] { SyncKeys(); };
  parts_.daemon.on_version_changed = [this](const VersionChange& change) { TellVersion(change); };
  for (std::shared_ptr<LiveSession>& session : parts_.daemon.sessions.All()) {
    AddSession(std::move(session));
  }
  parts_.service.endings().OnSessionEnded(
      [this](uint64_t id, const Error& reason) { EndSession(id, reason); });
}

void BusServer::SyncKeys() {
  if (!connected()) return;
  if (parts_.daemon.vault == nullptr) return keys_.clear();
  const auto& keys = parts_.daemon.vault->keys().keys();
  std::erase_if(keys_, [&](const auto& object) { return !keys.contains(object.first); });
  for (const auto& [name, key] : keys) {
    if (!keys_.contains(name)) keys_[name] = std::make_unique<KeyObject>(*context_, name);
  }
}

void BusServer::TellVersion(const VersionChange& change) {
  try {
    const auto found = keys_.find(change.key);
    if (found == keys_.end()) return SyncKeys();  // of a key that is only just made
    found->second->emitVersionChanged(change.number, std::string(Name(change.state)));
  } catch (const sdbus::Error& error) {
    Log(LogLevel::kWarning, "telling the bus of a key's version: {}", error.what());
  }
}

void BusServer::AddSession(std::shared_ptr<LiveSession> session) {
  const uint64_t id = session->info().id;
  sessions_[id] = std::make_unique<SessionObject>(*context_, std::move(session));
}

void BusServer::EndSession(uint64_t id, const Error& reason) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  try {
    found->second->emitClosed(reason.message());
  } catch (const sdbus::Error& error) {
    Log(LogLevel::kWarning, "telling the bus of an ended session: {}", error.what());
  }
  sessions_.erase(found);
}

void BusServer::Disconnect() {
  sessions_.clear();
  keys_.clear();
  admin_.reset();
  manager_.reset();
  context_.reset();
}

}  // namespace keyward::bus
