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
  BackupDigest digest;
};

// What a drill asks about a backup that it has opened.
struct BackupClaim {
  BackupDigest digest;
  BackupDigest origin;
};

struct CustodianProof {
  std::string custodian;
  // Whether it has opened a key that it had sealed, and sealed and opened another secret of a
  // backup's kind. Nothing: it has sealed no key so far, and could only show it by making a key to
  // seal with.
  std::optional<Result<void>> sealed;
};

struct BackupStanding {
  bool is_own = false;                 // this service has made it
  std::optional<LatestBackup> latest;  // nothing when none is known
  std::vector<CustodianProof> proofs;  // of every custodian that is configured
};

// Belongs to the bus thread. The caller has been found to be an admin before. Each `done` is called
// once. The audit log tells of each backup before it is given out, and before it is noted as the
// latest; and of each check. Errors of both: kSealed.
class BackupService {
 public:
  BackupService(Daemon& daemon, std::filesystem::path state_directory)
      : daemon_(daemon), directory_(std::move(state_directory)) {}

  // Makes a backup for the certificates in `pem`; see RecoveryCertificate::FromPem for their
  // errors. Errors also: kBusy (the stored state has changed meanwhile), kIo (it could not be
  // noted), kTooLarge, and the custodians': a backup that lacks a key that it could have is none.
  // It is signed with the service key, which the first one makes.
  void Create(ByteView pem, uint32_t caller, const std::function<void(Result<MadeBackup>)>& done);

  // Leaves the hardware and what is stored as they are. Errors also: those of AuditTrail::Record.
  void Check(const BackupClaim& claim, uint32_t caller,
             const std::function<void(Result<BackupStanding>)>& done);

  // Nothing when none was made. Errors also: kIo, kDataCorrupt.
  Result<std::optional<LatestBackup>> Latest() const;

 private:
  struct Draft;
  using Created = std::function<void(Result<MadeBackup>)>;
  // The backup, once the audit log tells of it and it is noted as the latest.
  Result<MadeBackup> Told(uint32_t caller, Result<MadeBackup> made);
  Result<void> NoteLatest(const MadeBackup& made);
  Result<BackupStanding> Judge(const BackupClaim& claim, uint32_t caller);
  // Each takes the draft one step on.
  void Fill(const std::shared_ptr<Draft>& draft, const Secrets& secrets, const Created& done);
  Result<MadeBackup> Finish(Draft& draft, const Seal& seal);
  Result<BackupDigest> WriteBody(Draft& draft, const Secrets& secrets);

  Daemon& daemon_;
  const std::filesystem::path directory_;
};

}  // namespace keyward::backup
