#include "hsm/hsm_custodian.h"

#include <fmt/format.h>

namespace keyward::hsm {

Result<HsmCustodian::Profile> HsmCustodian::Inspect(const Session& session,
                                                    const std::string& label) {
  KEYWARD_ASSIGN(const TokenState token, session.Token());
  KEYWARD_ASSIGN(std::vector<Algorithm> algorithms, HsmSigner::AlgorithmsOf(session));
  return Profile{std::move(algorithms), fmt::format("{} token '{}'", token.model, label)};
}

Result<std::unique_ptr<Custodian>> HsmCustodian::Create(std::shared_ptr<TokenAccess> access,
                                                        Rng& rng) {
  const std::string label = access->token_label();
  auto link = std::make_unique<Link>(std::move(access));
  KEYWARD_ASSIGN(Profile profile,
                 link->Run([&](const Session& session) { return Inspect(session, label); }));
  return std::unique_ptr<Custodian>(new HsmCustodian(std::move(link), std::move(profile), rng));
}

HsmCustodian::HsmCustodian(std::unique_ptr<Link> link, Profile profile, Rng& rng)
    : link_(std::move(link)),
      description_(std::move(profile.description)),
      signer_(*link_, std::move(profile.algorithms)),
      sealer_(*link_, rng),
      counter_(*link_),
      master_sealer_(*link_, rng) {}

Result<void> HsmCustodian::CheckHealth() {
  return link_->Run([](const Session& session) -> Result<void> {
    KEYWARD_TRY(session.Token());
    return {};
  });
}

}  // namespace keyward::hsm
