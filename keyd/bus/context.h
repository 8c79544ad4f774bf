// What every bus object works with.
#pragma once

#include <memory>

#include "keyd/admin_service.h"
#include "keyd/audit_readers.h"
#include "keyd/backup/backup_service.h"
#include "keyd/bus/callers.h"
#include "keyd/service.h"

namespace keyward::bus {

// Belongs to the bus thread and to one connection.
struct Context {
  std::shared_ptr<sdbus::IConnection> connection;
  Callers callers;
  Daemon& daemon;
  Service& service;
  AdminService& admin;
  backup::BackupService& backups;
  AuditReaders& audit;
  MonotonicTime started;
};

}  // namespace keyward::bus
