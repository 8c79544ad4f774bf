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

// A backup that keyd can be had to open several times: the key is read, and its passphrase asked
// for, once.
class BackupOpener {
 public:
  // `arguments` outlives it. Errors: kInvalidArgument (a file cannot be read, no passphrase),
  // kTooLarge, kIo.
  static Result<BackupOpener> Create(Shell& shell, const OpenArguments& arguments);

  // `step`: "show", "rehearse" or "restore". Errors: those that keyd says.
  Result<BackupReport> Run(Shell& shell, const std::string& step) const;

 private:
  BackupOpener(const OpenArguments& arguments, SecretBytes key, SecretBytes passphrase)
      : arguments_(arguments), key_(std::move(key)), passphrase_(std::move(passphrase)) {}

  const OpenArguments& arguments_;
  SecretBytes key_;         // PEM
  SecretBytes passphrase_;  // empty: the key is not encrypted
};

}  // namespace keyward::keyctl
