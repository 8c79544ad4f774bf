// keyd on the bus: one connection, its objects, and a new one when the bus comes back.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "keyd/bus/admin_object.h"
#include "keyd/bus/context.h"
#include "keyd/bus/key_object.h"
#include "keyd/bus/manager_object.h"
#include "keyd/bus/session_object.h"

namespace keyward::bus {

struct BusServerParts {
  Daemon& daemon;
  Service& service;
  AdminService& admin;
  backup::BackupService& backups;
  SecondSealService& second_seal;
  AuditReaders& audit;
  MonotonicTime started;
};

// What a poll(2) loop has to wait for.
struct BusPoll {
  int fd;
  short events;
  int timeout_ms;  // -1: none
};

// Belongs to the bus thread.
class BusServer {
 public:
  explicit BusServer(BusServerParts parts) : parts_(parts) {}

  // Connects to the system bus (DBUS_SYSTEM_BUS_ADDRESS, where set) and takes the name. Errors: kIo
  // (no bus), kAlreadyExists (another keyd has the name), kPermissionDenied (the bus policy forbids
  // the name).
  Result<void> Connect();
  bool connected() const { return context_ != nullptr; }

  // Errors of both: kIo; the connection is gone then, and Connect may be tried again.
  Result<BusPoll> Poll();
  Result<void> Process();

 private:
  void AddObjects();
  void SyncKeys();
  void TellVersion(const VersionChange& change);
  void AddSession(std::shared_ptr<LiveSession> session);
  void EndSession(uint64_t id, const Error& reason);
  void Disconnect();

  const BusServerParts parts_;
  std::unique_ptr<Context> context_;
  std::unique_ptr<ManagerObject> manager_;
  std::unique_ptr<AdminObject> admin_;
  std::map<std::string, std::unique_ptr<KeyObject>> keys_;
  std::map<uint64_t, std::unique_ptr<SessionObject>> sessions_;
};

}  // namespace keyward::bus
