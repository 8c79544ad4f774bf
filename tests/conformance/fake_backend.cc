#include "tests/conformance/backend.h"
#include "tests/fakes/fake_custodian.h"

namespace keyward::conformance {
namespace {

class FakeBackend final : public Backend {
 public:
  Result<std::unique_ptr<Custodian>> Make() override { return hardware_.Make(); }
  void TakeAway() override { hardware_.SetAvailable(false); }
  void BringBack() override { hardware_.SetAvailable(true); }
  size_t MaxCustodians() const override { return 8; }
  bool HoldsKeys() const override { return true; }

 private:
  fakes::FakeHardware hardware_;
};

const RegisterBackend kRegistration("Fake", [] { return std::make_unique<FakeBackend>(); });

}  // namespace
}  // namespace keyward::conformance
