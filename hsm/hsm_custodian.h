// The custodian that HsmFactory makes: one session, one thread.
#pragma once

#include <memory>
#include <string>

#include "core/custodian.h"
#include "core/inventory.h"
#include "hsm/hsm_counter.h"
#include "hsm/hsm_master_sealer.h"
#include "hsm/hsm_sealer.h"
#include "hsm/hsm_signer.h"
#include "hsm/link.h"

namespace keyward::hsm {

class HsmCustodian final : public Custodian, public Inventory {
 public:
  // Connects. Errors: those of HsmFactory::Make.
  static Result<std::unique_ptr<Custodian>> Create(std::shared_ptr<TokenAccess> access, Rng& rng);

  Signer& signer() override { return signer_; }
  Sealer& sealer() override { return sealer_; }
  Counter& counter() override { return counter_; }
  MasterSealer& master_sealer() override { return master_sealer_; }
  Attester* attester() override { return nullptr; }
  Result<void> CheckHealth() override;
  HardwareNotes Notes() const override { return notes_; }
  Result<bool> HoldsKey(const KeyReference& reference) override { return signer_.Holds(reference); }
  Result<bool> HoldsKeyOf(ByteView blob) override { return sealer_.HoldsKeyOf(blob); }
  std::string Describe() const override { return description_; }

 private:
  struct Profile {
    std::vector<Algorithm> algorithms;
    std::string description;
  };
  static Result<Profile> Inspect(const Session& session, const std::string& label);
  HsmCustodian(std::unique_ptr<Link> link, Profile profile, Rng& rng);

  std::unique_ptr<Link> link_;
  std::string description_;
  HardwareNotes notes_;
  HsmSigner signer_;
  HsmSealer sealer_;
  HsmCounter counter_;
  HsmMasterSealer master_sealer_;
};

}  // namespace keyward::hsm
