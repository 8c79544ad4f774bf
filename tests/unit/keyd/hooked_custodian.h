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
};

class HookedCustodian final : public Custodian, private Signer {
 public:
  HookedCustodian(std::unique_ptr<Custodian> base, const CustodianHooks& hooks)
      : base_(std::move(base)), hooks_(hooks) {}

  Signer& signer() override { return *this; }
  Sealer& sealer() override { return base_->sealer(); }
  Counter& counter() override { return base_->counter(); }
  MasterSealer& master_sealer() override { return base_->master_sealer(); }
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
