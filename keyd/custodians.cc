#include "keyd/custodians.h"

#include <memory>
#include <utility>

#include "hsm/hsm_factory.h"
#include "tpm/tpm_custodian.h"

namespace keyward {
namespace {

constexpr size_t kTpmThreads = 1;  // a TPM is serial
constexpr size_t kHsmThreads = 4;  // each with a PKCS#11 session of its own

CustodianFactory HsmFactory(const policy::HsmSettings& settings, const std::string& state_directory,
                            Rng& rng) {
  auto factory = std::make_shared<hsm::HsmFactory>(
      hsm::HsmOptions{.module_path = settings.module,
                      .token_label = settings.token,
                      .pin_file = settings.pin_file.value_or(""),
                      .pin_credential = settings.pin_credential.value_or(""),
                      .state_directory = state_directory},
      rng);
  return [factory] { return factory->Make(); };
}

CustodianFactory TpmFactory(const policy::TpmSettings& settings, std::string state_directory,
                            Rng& rng) {
  tpm::TpmOptions options{settings.tcti, std::move(state_directory)};
  return [options = std::move(options), &rng]() -> Result<std::unique_ptr<Custodian>> {
    KEYWARD_ASSIGN(std::unique_ptr<tpm::TpmCustodian> custodian,
                   tpm::TpmCustodian::Create(options, rng));
    return custodian;
  };
}

}  // namespace

Result<KeyRingPools> MakeCustodians(const policy::Policy& policy,
                                    const std::string& state_directory, const Clock& clock,
                                    Rng& rng) {
  KeyRingPools pools;
  if (policy.hsm()) {
    pools.emplace("hsm",
                  std::make_unique<CustodianPool>(
                      "hsm", HsmFactory(*policy.hsm(), state_directory, rng), kHsmThreads, clock));
  }
  if (policy.tpm()) {
    pools.emplace("tpm",
                  std::make_unique<CustodianPool>(
                      "tpm", TpmFactory(*policy.tpm(), state_directory, rng), kTpmThreads, clock));
  }
  if (pools.empty()) {
    return Fail(ErrorCode::kConfiguration,
                "security.yaml has neither an 'hsm' nor a 'tpm' section");
  }
  return pools;
}

}  // namespace keyward
