// How keyd comes to serve, and how it stops to.
//
// Starting is unsealing: the custodian releases the master key and the counter, the store is
// checked against both, and only then is there a vault. Whatever keeps that from happening is why
// the service is sealed. A cause that can pass by itself (hardware that is away, PCRs without a
// signed policy) is waited out; any other, before keyd has served, ends it.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "keyd/daemon.h"
#include "keyd/former_home.h"
#include "keyd/master_key.h"
#include "keyd/master_record.h"
#include "keyd/pcr_policies.h"
#include "keyd/second_record.h"

namespace keyward {

struct PcrState {
  Bytes authority;  // SPKI
  PcrValues values;
  std::vector<SignedPcrPolicy> policies;
};

// Belongs to the bus thread.
class Unsealer {
 public:
  using PcrStateDone = std::function<void(Result<PcrState>)>;
  using Done = std::function<void(Result<void>)>;
  // Nothing until it was released.
  using HeldMaster = HeldSecret<std::optional<MasterKey>>;

  // Reads what the state directory says. Errors: kNotInitialised, kDataCorrupt, kIo, kConfiguration
  // (the custodian that has the master key is not configured).
  static Result<std::unique_ptr<Unsealer>> Create(Daemon& daemon,
                                                  std::filesystem::path state_directory);

  // Tries, unless an admin has sealed the service. `done` is told the outcome: kSealed when it
  // stays sealed by an admin's wish.
  void TryUnseal(const Done& done);
  // Ends what an admin's Seal began, which is told before, and tries. When it serves, be it later,
  // the audit log says that `caller` unsealed it. `done` is told, too, where keyd goes on trying.
  void Unseal(uint32_t caller, const Done& done);
  // Wipes every key, and stays so over restarts until Unseal. Errors: kIo (it is sealed, but a
  // restart will unseal).
  Result<void> Seal();
  // The first step of ZeroizeAll, without a word to the disk: wipes every key.
  void WipeToZeroize();
  // Seals, then destroys the hardware's parts for good: of the master key, without which nothing
  // that is stored can be opened, and every key of custody hardware. Memory is wiped before this
  // returns; `done` is told when the hardware has done its part, or the first reason why it has
  // not: then it can be repeated. Errors: kIo, kDataCorrupt (the master key is gone, but the store
  // does not tell which keys there are), the custodian's.
  void ZeroizeAll(const Done& done);
  // Has the custodian release the master key once more into `held`, for another seal of it. Errors:
  // the custodian's, kDataCorrupt (another master key), kSealed.
  void ReleaseMaster(uint32_t caller, const std::shared_ptr<HeldMaster>& held, const Done& done);
  // The home that the master key had before, where that is not destroyed yet. Until the service was
  // unsealed once, it is what the file says, and nobody has vouched for it.
  const std::optional<FormerHome>& former() const { return former_; }
  // Whether there is a file of one that is not as keyd wrote it: it is left, and not acted on.
  bool former_refused() const { return former_refused_; }
  // What the TPM that has the master key, or its second seal, measures just now, in the PCRs of the
  // latest policy and `also`; and who has to sign it. Errors: kNotSupported (no TPM has it), the
  // custodian's.
  void ShowPcrs(const PcrSelection& also, const PcrStateDone& done);
  // Whether a vault is opened that does not serve yet, for which the audit log is open.
  bool is_opening() const { return candidate_ != nullptr; }
  // Takes a policy that the authority signed, and tries to unseal if that is what was missing.
  // Errors: kNotSupported, those of PcrPolicies::Add.
  Result<void> AddPcrPolicy(const SignedPcrPolicy& policy);
  // To be called when `custodian` was found to serve.
  void OnHealthy(CustodianPool& custodian);

  const MasterRecord& record() const { return record_; }
  // Signed states of the boot, the latest first.
  const std::vector<SignedPcrPolicy>& policies() const { return policies_.all(); }

  // Nothing is tried any more, and nobody is told. To be called before what they refer to goes.
  void Stop();
  // Why keyd cannot go on, when it never came to serve.
  const std::optional<Error>& fatal() const { return fatal_; }

 private:
  struct Released {
    SecretBytes master;
    uint64_t counter;
  };
  // Keys of custody hardware, by what the vault had of them and by what the store says; seals of
  // the master key, and counters.
  struct Doomed {
    std::vector<KeyReference> references;
    std::vector<KeyId> ids;
    std::vector<KeyId> seals;
    std::vector<KeyId> counters;

    void Add(const HardwareParts& home) {
      seals.push_back(home.seal);
      counters.push_back(home.counter);
    }
  };

  Unsealer(Daemon& daemon, std::filesystem::path state_directory, MasterRecord record,
           PcrPolicies policies)
      : daemon_(daemon),
        directory_(std::move(state_directory)),
        record_(std::move(record)),
        policies_(std::move(policies)) {}

  CustodianPool& pool() const { return *daemon_.pools.at(record_.custodian); }
  std::filesystem::path SealMark() const { return directory_ / "sealed"; }
  // Who signs PCR policies. Errors: kNotSupported.
  Result<Bytes> PcrAuthority() const;
  Result<std::unique_ptr<Vault>> OpenVault(Released released);
  // What the vault's journal asks for; the unsealer outlives every vault that it opened.
  void ConfirmEpoch(uint64_t epoch, const Done& done);
  static Result<Released> Release(Custodian& custodian, const MasterRecord& record,
                                  const std::vector<SignedPcrPolicy>& policies);
  void StartAttempt();
  // What an admin's Seal began ends.
  Result<void> LiftSeal(uint32_t caller);
  // Wipes every key, for who waits for an admin's Unseal.
  void DropVault();
  audit::Event Beginning() const;
  void OnReleased(Result<Released> released);
  // The attempt that is under way comes to nothing: no master key is released for it any more.
  void EndAttempt();
  void OnConfirmed(const Result<void>& confirmed);
  void Finish(const Result<void>& outcome);
  // Has every custodian destroy what it is to; `outcome` is what went before.
  void DestroyDoomed(const Result<void>& outcome, const Done& done);
  // Adds the seals of the master key to what is to be destroyed.
  void DoomSeals(const std::optional<SecondSeal>& second);
  // Where nothing is known to be: what a crash may have left goes all the same.
  void DestroyStraySeals();
  void ForgetSecond(const std::string& place);
  static Result<void> DestroyAll(Custodian& custodian, const Doomed& doomed);
  void ReadFormer();
  // Whether keyd wrote what ReadFormer found; what it did not is told, left, and forgotten.
  void CheckFormer(const MasterKey& master);
  void RefuseFormer(const Error& why);
  // Destroys the former home, once the new one serves and `custodian` answers.
  void SweepFormer(CustodianPool& custodian);

  Daemon& daemon_;
  const std::filesystem::path directory_;
  const MasterRecord record_;
  PcrPolicies policies_;
  std::optional<FormerHome> former_;
  bool former_refused_ = false;
  std::vector<Done> waiting_;                  // for the attempt that is under way
  std::shared_ptr<std::atomic<bool>> wanted_;  // whether the latest attempt is still
  int counting_ = 0;                           // confirmations that the hardware is at
  std::unique_ptr<Vault> candidate_;           // opened, and not yet confirmed
  bool sealed_by_admin_ = false;               // also where the mark could not be written
  std::map<std::string, Doomed, std::less<>>
      to_destroy_;  // what a ZeroizeAll has still to do, by custodian
  bool has_served_ = false;
  uint32_t unsealed_by_ = kDaemonItself;  // the admin who asked first, until it serves
  std::optional<Error> fatal_;
};

}  // namespace keyward
