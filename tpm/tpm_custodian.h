// The TPM 2.0 custodian.
//
// Reaches any TPM through tpm2-tss: `tcti` is a configuration of its TCTI loader. Every command
// that moves a secret goes in an HMAC session salted to the storage primary, with encrypted
// parameters; the name of that primary is pinned on first use, so that neither another TPM nor
// someone on its bus can stand in for it. Everything made here is exempt from dictionary-attack
// protection (noDA) and has an authorization value that cannot be guessed, so nothing Keyward does
// can lock the TPM.
//
// Only counters and the master key write NV memory, which wears; how often, their headers say. An
// end of the connection to a TPM that no resource manager shares does, too (TPM2_Shutdown).
//
// What ESAPI keeps in memory of its own, outside SecretBytes: the authorization values of loaded
// objects, none of which is worth anything without the TPM.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/attester.h"
#include "core/counter.h"
#include "core/custodian.h"
#include "core/master_sealer.h"
#include "core/rng.h"

namespace keyward::tpm {

class LinkKeeper;
class TpmAttester;
class TpmCounter;
class TpmMasterSealer;
class TpmSealer;
class TpmSigner;

struct TpmOptions {
  // "device:/dev/tpmrm0", "swtpm:path=/run/x/tpm.sock", "tabrmd:bus_type=system". A TPM that no
  // resource manager shares ("swtpm:", "device:/dev/tpm0") must have no other client: what is
  // loaded in it is flushed at each connect, and it is told TPM2_Shutdown at the end.
  std::string tcti;
  // An existing folder, private to keyd, where the file tpm-primary-name pins the TPM. Back it up
  // and guard it as the keys' records.
  std::filesystem::path state_directory;
};

// See core/custodian.h for threads. The process must ignore SIGPIPE, or a TPM that goes away behind
// a socket ends it.
class TpmCustodian final : public Custodian {
 public:
  // Connects. `rng` must outlive the custodian. Errors: kCustodianUnavailable, kPinRejected (the
  // owner hierarchy has a password), kCustodianReplaced, kCustodianCleared, kDataCorrupt (the pin
  // file is damaged), kIo (it cannot be read or written).
  static Result<std::unique_ptr<TpmCustodian>> Create(TpmOptions options, Rng& rng);
  ~TpmCustodian() override;

  Signer& signer() override;
  Sealer& sealer() override;
  Counter& counter() override;
  MasterSealer& master_sealer() override;
  Attester* attester() override;
  Result<void> CheckHealth() override;
  HardwareNotes Notes() const override { return notes_; }
  std::string Describe() const override;

 private:
  TpmCustodian(TpmOptions options, Rng& rng);

  std::unique_ptr<LinkKeeper> links_;
  HardwareNotes notes_;
  std::unique_ptr<TpmSigner> signer_;
  std::unique_ptr<TpmSealer> sealer_;
  std::unique_ptr<TpmCounter> counter_;
  std::unique_ptr<TpmMasterSealer> master_sealer_;
  std::unique_ptr<TpmAttester> attester_;
};

}  // namespace keyward::tpm
