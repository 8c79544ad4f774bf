#include "keyd/custodians.h"

#include <memory>
#include <utility>

#include "tpm/tpm_custodian.h"

namespace keyward {
namespace {

constexpr size_t kTpmThreads = 1;  // a TPM is serial

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
