// Backups, as a running keyd makes and knows them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "keyd/backup/latest.h"
#include "keyd/daemon.h"

namespace keyward::backup {

struct MadeBackup {
  Bytes der;  // the envelope
  Manifest manifest;
};

// What a drill asks about a backup that it has opened.
struct BackupClaim {
  BackupDigest digest;
  BackupDigest origin;
};

struct CustodianProof {
  std::string custodian;
  Result<void> sealed;  // whether it has sealed a secret of a backup's kind, and opened it
};

struct BackupStanding {
  bool is_own = false;                 // this service has made it
  std::optional<LatestBackup> latest;  // nothing when none is known
  std::vector<CustodianProof> proofs;  // of every custodian that is configured
};

// Belongs to the bus thread. The caller has been found to be an admin before. Each `done` is called
// once. The audit log tells of each backup before it is given out. Errors of both: kSealed.
class BackupService {
 public:
  BackupService(Daemon& daemon, std::filesystem::path state_directory)
      : daemon_(daemon), directory_(std::move(state_directory)) {}

  // Makes a backup for the certificates in `pem`; see RecoveryCertificate::FromPem for their
  // errors. Errors also: kBusy (the stored state has changed meanwhile), kIo (it could not be
  // noted), kTooLarge, and the custodians': a backup that lacks a key that it could have is none.
  // It is signed with the service key, which the first one makes.
  void Create(ByteView pem, uint32_t caller, const std::function<void(Result<MadeBackup>)>& done);

  void Check(const BackupClaim& claim, uint32_t caller,
             const std::function<void(Result<BackupStanding>)>& done);

  // Nothing when none was made. Errors also: kIo, kDataCorrupt.
  Result<std::optional<LatestBackup>> Latest() const;

 private:
  struct Draft;
  using Created = std::function<void(Result<MadeBackup>)>;
  // The backup, once the audit log tells of it.
  Result<MadeBackup> Told(uint32_t caller, Result<MadeBackup> made);
  // Each takes the draft one step on.
  void Fill(const std::shared_ptr<Draft>& draft, const Secrets& secrets, const Created& done);
  Result<MadeBackup> Finish(Draft& draft, const Seal& seal);
  Result<BackupDigest> WriteBody(Draft& draft, const Secrets& secrets);

  Daemon& daemon_;
  const std::filesystem::path directory_;
};

}  // namespace keyward::backup
