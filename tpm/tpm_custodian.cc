#include "tpm/tpm_custodian.h"

#include "tpm/condition.h"
#include "tpm/link_keeper.h"
#include "tpm/tpm_attester.h"
#include "tpm/tpm_counter.h"
#include "tpm/tpm_master_sealer.h"
#include "tpm/tpm_sealer.h"
#include "tpm/tpm_signer.h"

namespace keyward::tpm {

TpmCustodian::TpmCustodian(TpmOptions options, Rng& rng)
    : links_(std::make_unique<LinkKeeper>(std::move(options.tcti),
                                          std::move(options.state_directory))),
      signer_(std::make_unique<TpmSigner>(*links_, rng)),
      sealer_(std::make_unique<TpmSealer>(*links_)),
      counter_(std::make_unique<TpmCounter>(*links_)),
      master_sealer_(std::make_unique<TpmMasterSealer>(*links_, rng)),
      attester_(std::make_unique<TpmAttester>(*links_)) {}

TpmCustodian::~TpmCustodian() = default;

Result<std::unique_ptr<TpmCustodian>> TpmCustodian::Create(TpmOptions options, Rng& rng) {
  std::unique_ptr<TpmCustodian> custodian(new TpmCustodian(std::move(options), rng));
  KEYWARD_TRY(custodian->links_->Connect());
  return custodian;
}

Signer& TpmCustodian::signer() { return *signer_; }

Sealer& TpmCustodian::sealer() { return *sealer_; }

Counter& TpmCustodian::counter() { return *counter_; }

MasterSealer& TpmCustodian::master_sealer() { return *master_sealer_; }

Attester* TpmCustodian::attester() { return attester_.get(); }

Result<void> TpmCustodian::CheckHealth() {
  return links_->Run([this](Link& link) -> Result<void> {
    KEYWARD_TRY(link.ProveAlive());
    KEYWARD_ASSIGN(notes_, ReadNotes(link.connection()));
    return {};
  });
}

std::string TpmCustodian::Describe() const { return links_->facts().description; }

}  // namespace keyward::tpm
