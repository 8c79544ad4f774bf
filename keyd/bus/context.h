// What every bus object works with.
#pragma once

#include <memory>

#include "keyd/admin_service.h"
#include "keyd/audit_readers.h"
#include "keyd/backup/backup_service.h"
#include "keyd/bus/callers.h"
#include "keyd/second_seal/second_seal_service.h"
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
  SecondSealService& second_seal;
  AuditReaders& audit;
  MonotonicTime started;
};

// Throws `why` to the reader of a property, and has the audit log tell of it; `of`: which object's.
[[noreturn]] void RefuseReading(Context& context, const policy::Caller& reader,
                                audit::Event::Detail of, const Error& why);

}  // namespace keyward::bus
