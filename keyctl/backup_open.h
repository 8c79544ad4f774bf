// Having keyd open a backup.
#pragma once

#include <string>

#include "keyctl/backup_report.h"

namespace keyward::keyctl {

// What restore and drill have in common.
struct OpenArguments {
  std::string file;
  std::string key_file;
  std::string passphrase_file;
  std::string config = "/etc/keyward/security.yaml";
  std::string state = "/var/lib/keyward";
  std::string custodian;
  std::string pcr_authority;
};

void AddOpenOptions(CLI::App& command, OpenArguments& arguments);
// Where the master key goes; what is restored is sealed there where its own kind is missing.
void AddCustodianOptions(CLI::App& command, OpenArguments& arguments);

// A recovery key, and what it is encrypted with.
struct RecoverySecrets {
  SecretBytes key;         // PEM
  SecretBytes passphrase;  // empty: the key is not encrypted
};
// Reads the key's file, and the passphrase's; without one, asks for it where the key is encrypted.
// Errors: kInvalidArgument (a file cannot be read, no passphrase), kTooLarge, kIo.
Result<RecoverySecrets> ReadRecoverySecrets(Shell& shell, const std::string& key_file,
                                            const std::string& passphrase_file);

// A backup that keyd can be had to open several times: the key is read, and its passphrase asked
// for, once.
class BackupOpener {
 public:
  // `arguments` outlives it. Errors: those of ReadRecoverySecrets.
  static Result<BackupOpener> Create(Shell& shell, const OpenArguments& arguments);

  // `step`: "show", "rehearse" or "restore". Errors: those that keyd says.
  Result<BackupReport> Run(Shell& shell, const std::string& step) const;

 private:
  BackupOpener(const OpenArguments& arguments, RecoverySecrets secrets)
      : arguments_(arguments), secrets_(std::move(secrets)) {}

  const OpenArguments& arguments_;
  RecoverySecrets secrets_;
};

}  // namespace keyward::keyctl
