// What a keyd that keyctl has started says of a backup: see docs/BACKUP_FORMAT.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/result.h"
#include "keyctl/shell.h"

namespace keyward::keyctl {

struct ReportedVersion {
  uint32_t number;
  std::string state;
  std::string fingerprint;  // SHA-256 of the SPKI, hex
  bool has_private_half;
};

struct ReportedKey {
  std::string name;
  std::string custody;
  std::string custodian;
  std::vector<ReportedVersion> versions;
};

// A module and its key, or a peer and its fingerprint.
struct ReportedIdentity {
  std::string name;
  std::string identity;
};

// What could not be restored, or would not be.
struct Lost {
  std::vector<std::string> versions;  // "web version 1 (fingerprint)"
  std::vector<std::string> modules;   // not enrolled any more
};

struct BackupReport {
  Json json;  // as keyd gave it
  std::string id;
  std::string service;
  std::string host;
  std::string keyd;
  WallTime created;
  Bytes digest;
  Bytes origin;
  std::string signed_by;  // fingerprint of the service key that did; "" when none did
  std::vector<ReportedKey> keys;
  std::vector<ReportedIdentity> modules;
  std::vector<ReportedIdentity> peers;
  std::optional<Lost> lost;  // where hardware was asked
};

// Errors: kInternal (not what a keyd of this version says).
Result<BackupReport> ParseBackupReport(const std::string& text);

// Whether the hardware keeps the private half to itself.
bool CannotBeInIt(const ReportedKey& key, const ReportedVersion& version);

// Whose backup it is and what is in it, for people.
void PrintBackup(Shell& shell, const BackupReport& report);

}  // namespace keyward::keyctl
