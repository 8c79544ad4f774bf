#include "hsm/hsm_factory.h"
#include "tests/conformance/backend.h"
#include "tests/support/softhsm_token.h"

namespace keyward::conformance {
namespace {

using testing_support::SoftHsmToken;

class SoftHsmBackend final : public Backend {
 public:
  Result<std::unique_ptr<Custodian>> Make() override { return factory_.Make(); }
  void TakeAway() override { token_.TakeAway(); }
  void BringBack() override { token_.BringBack(); }
  size_t MaxCustodians() const override { return 8; }
  bool HoldsKeys() const override { return true; }

 private:
  SoftHsmToken token_;
  SystemRng rng_;
  hsm::HsmFactory factory_{{.module_path = SoftHsmToken::kModulePath,
                            .token_label = SoftHsmToken::kLabel,
                            .pin_file = token_.pin_file(),
                            .pin_credential = "",
                            .state_directory = token_.state_directory()},
                           rng_};
};

const RegisterBackend kRegistration("SoftHsm", [] { return std::make_unique<SoftHsmBackend>(); });

}  // namespace
}  // namespace keyward::conformance
