#include "hsm/hsm_custodian.h"

#include <fmt/format.h>

namespace keyward::hsm {

namespace {

// This service is logged in, so it goes on; but it will not get in again.
std::optional<Error> ConcernOf(CK_FLAGS flags) {
  if ((flags & CKF_USER_PIN_LOCKED) != 0) {
    return Error(ErrorCode::kLockedOut,
                 "somebody locked the user PIN of the HSM token with wrong PINs; this service is "
                 "still logged in: before it restarts, have the security officer set a new PIN, "
                 "and write that to the PIN file");
  }
  if ((flags & CKF_USER_PIN_FINAL_TRY) != 0) {
    return Error(ErrorCode::kPinRejected,
                 "somebody tried wrong PINs, and one more would lock the HSM token; this service "
                 "is still logged in, and tries none: log in once by hand with the right PIN, "
                 "which resets the count");
  }
  return std::nullopt;
}

}  // namespace

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
  return link_->Run([this](const Session& session) -> Result<void> {
    KEYWARD_ASSIGN(const TokenState token, session.Token());
    notes_.concern = ConcernOf(token.flags);
    return {};
  });
}

}  // namespace keyward::hsm
