// The second seal of the master key, as a running keyd makes, shows and forgets it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "keyd/backup/recovery_key.h"
#include "keyd/daemon.h"
#include "keyd/second_record.h"
#include "keyd/unsealer.h"

namespace keyward {

struct SecondSealRequest {
  std::string place;  // "hsm", "tpm", or kInRecovery
  Bytes material;     // tpm: SPKI of who signs PCR policies; recovery: a certificate, PEM
};

inline constexpr const char* kRefusedFormer = "refused";

struct Seals {
  std::string custodian;             // has the master key
  std::optional<SecondSeal> second;  // nothing when there is none
  // Custodian of a home that is not destroyed yet; "": none; kRefusedFormer: a file of one that
  // keyd did not write.
  std::string former;
};

// Belongs to the bus thread. The caller has been found to be an admin before. Each `done` is called
// once. The audit log tells of each change before it is made.
class SecondSealService {
 public:
  using Done = std::function<void(Result<void>)>;

  SecondSealService(Daemon& daemon, Unsealer& unsealer, std::filesystem::path state_directory)
      : daemon_(daemon), unsealer_(unsealer), directory_(std::move(state_directory)) {}

  // Killed at any point, it can be repeated, and leaves nothing that Forget does not remove.
  // Errors: kSealed, kBusy (another one is under way), kAlreadyExists (there is one),
  // kInvalidArgument (where the master key is already; no authority for a TPM, or one for an HSM;
  // not one certificate), kConfiguration (no such custodian), those of
  // RecoveryCertificate::FromPem, the custodians', kIo.
  void Make(const SecondSealRequest& request, uint32_t caller, const Done& done);

  // Also while the service is sealed. Errors: kIo, kDataCorrupt.
  Result<Seals> Show() const;

  // Destroys the hardware's part, then removes the file. Without a file: destroys what a making
  // that was killed may have left in the custodians that are configured. `lost`: the hardware will
  // not come back, and the file is removed whether it answers or not. Errors: kSealed, kBusy, the
  // custodian's, kIo.
  void Forget(bool lost, uint32_t caller, const Done& done);

 private:
  struct Making;
  // Whether it may be made at all, and what for. Errors: those of Make.
  Result<std::shared_ptr<Making>> Begin(const SecondSealRequest& request, uint32_t caller) const;
  // Each takes it one step on.
  void Seal(const std::shared_ptr<Making>& making);
  void SealInHardware(const std::shared_ptr<Making>& making);
  void Keep(const std::shared_ptr<Making>& making);
  void DestroyPart(const std::string& custodian, uint32_t caller, const Done& done);
  // Whether what there is may be forgotten. Errors: those of Forget.
  Result<void> MayForget(const Result<std::optional<SecondSeal>>& second, bool lost) const;
  // The end of what was begun: tells a failure, and lets the next one begin.
  Done Ending(const audit::Event& event, const Done& done);

  Daemon& daemon_;
  Unsealer& unsealer_;
  const std::filesystem::path directory_;
  bool busy_ = false;
};

}  // namespace keyward
