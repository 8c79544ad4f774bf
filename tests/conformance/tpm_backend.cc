#include "tests/conformance/backend.h"
#include "tests/support/matchers.h"
#include "tests/support/swtpm.h"
#include "tpm/tpm_custodian.h"

namespace keyward::conformance {
namespace {

using testing_support::Swtpm;
using testing_support::TempDir;

class SwtpmBackend final : public Backend {
 public:
  Result<std::unique_ptr<Custodian>> Make() override {
    KEYWARD_TRY(started_);
    return tpm::TpmCustodian::Create(
        {.tcti = tpm_->tcti(), .state_directory = state_directory_.path()}, rng_);
  }
  void TakeAway() override { tpm_->Kill(); }
  void BringBack() override { EXPECT_OK(tpm_->Restart()); }
  size_t MaxCustodians() const override { return 1; }  // without a resource manager
  bool HoldsKeys() const override { return false; }

 private:
  Result<void> Start() {
    KEYWARD_ASSIGN(tpm_, Swtpm::Start());
    return {};
  }

  SystemRng rng_;
  TempDir state_directory_;
  std::unique_ptr<Swtpm> tpm_;
  Result<void> started_ = Start();
};

const RegisterBackend kRegistration("Swtpm", [] { return std::make_unique<SwtpmBackend>(); });

}  // namespace
}  // namespace keyward::conformance
