// A custodian whose calls a test may disturb.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "tests/fakes/fake_custodian.h"

namespace keyward::testing_support {

// Run on the custodian's thread, after the hardware has done its part. Empty: nothing happens.
struct CustodianHooks {
  std::function<Result<void>()> generated;  // a failure: the key is made, the answer is lost
  std::function<void()> signed_;
  // These before: a secret is about to be unsealed, the master key to be sealed or unsealed.
  std::function<void()> unsealing;
  std::function<void()> sealing_master;
  std::function<void()> unsealing_master;
};

class HookedCustodian final : public Custodian,
                              private Signer,
                              private Sealer,
                              private MasterSealer {
 public:
  HookedCustodian(std::unique_ptr<Custodian> base, const CustodianHooks& hooks)
      : base_(std::move(base)), hooks_(hooks) {}

  Signer& signer() override { return *this; }
  Sealer& sealer() override { return *this; }
  Counter& counter() override { return base_->counter(); }
  MasterSealer& master_sealer() override { return *this; }
  Attester* attester() override { return base_->attester(); }
  Result<void> CheckHealth() override { return base_->CheckHealth(); }
  HardwareNotes Notes() const override { return base_->Notes(); }
  std::string Describe() const override { return base_->Describe(); }

 private:
  std::vector<Algorithm> SigningAlgorithms() const override {
    return base_->signer().SigningAlgorithms();
  }
  Result<GeneratedKey> GenerateKey(Algorithm algorithm, const KeyId& id) override {
    KEYWARD_ASSIGN(GeneratedKey key, base_->signer().GenerateKey(algorithm, id));
    if (hooks_.generated) KEYWARD_TRY(hooks_.generated());
    return key;
  }
  Result<Bytes> Sign(const KeyReference& reference, ByteView message) override {
    Result<Bytes> signature = base_->signer().Sign(reference, message);
    if (hooks_.signed_) hooks_.signed_();
    return signature;
  }
  Result<void> DestroyKey(const KeyReference& reference) override {
    return base_->signer().DestroyKey(reference);
  }
  Result<void> DestroyUnrecorded(std::span<const KeyId> announced) override {
    return base_->signer().DestroyUnrecorded(announced);
  }
  Result<Bytes> Seal(const SecretBytes& secret, ByteView context) override {
    return base_->sealer().Seal(secret, context);
  }
  Result<SecretBytes> Unseal(ByteView blob, ByteView context) override {
    if (hooks_.unsealing) hooks_.unsealing();
    return base_->sealer().Unseal(blob, context);
  }
  Result<Bytes> SealMaster(const KeyId& id, const SecretBytes& master,
                           const std::optional<PublicKey>& authority) override {
    if (hooks_.sealing_master) hooks_.sealing_master();
    return base_->master_sealer().SealMaster(id, master, authority);
  }
  Result<SecretBytes> UnsealMaster(const KeyId& id, ByteView record,
                                   std::span<const SignedPcrPolicy> policies) override {
    if (hooks_.unsealing_master) hooks_.unsealing_master();
    return base_->master_sealer().UnsealMaster(id, record, policies);
  }
  Result<void> DestroyMaster(const KeyId& id) override {
    return base_->master_sealer().DestroyMaster(id);
  }

  const std::unique_ptr<Custodian> base_;
  const CustodianHooks& hooks_;
};

// `hardware` and `hooks` outlive what it makes. Set hooks while no task is under way.
inline CustodianFactory HookedFactory(fakes::FakeHardware& hardware, const CustodianHooks& hooks) {
  return [&hardware, &hooks]() -> Result<std::unique_ptr<Custodian>> {
    KEYWARD_ASSIGN(std::unique_ptr<Custodian> base, hardware.Make());
    return std::make_unique<HookedCustodian>(std::move(base), hooks);
  };
}

}  // namespace keyward::testing_support
