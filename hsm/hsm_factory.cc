#include "hsm/hsm_factory.h"

#include <utility>

#include "hsm/hsm_custodian.h"
#include "hsm/token_access.h"

namespace keyward::hsm {

HsmFactory::HsmFactory(HsmOptions options, Rng& rng)
    : access_(std::make_shared<TokenAccess>(std::move(options))), rng_(rng) {}

HsmFactory::~HsmFactory() = default;

Result<std::unique_ptr<Custodian>> HsmFactory::Make() {
  return HsmCustodian::Create(access_, rng_);
}

}  // namespace keyward::hsm
