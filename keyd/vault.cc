#include "keyd/vault.h"

#include <utility>

namespace keyward {

Result<std::unique_ptr<Vault>> Vault::Create(Parts parts) {
  std::unique_ptr<Vault> vault(new Vault);
  vault->backup_ = std::move(parts.backup);
  vault->token_key_ = std::move(parts.token_key);
  vault->transport_key_ = std::move(parts.transport_key);
  vault->store_ = std::move(parts.store);
  vault->store_->TendReserve();
  vault->journal_ = std::make_shared<Journal>(*vault->store_, parts.trail, std::move(parts.confirm),
                                              vault->store_->epoch() != parts.counter);
  const StoredState& state = parts.state;
  KEYWARD_ASSIGN(vault->registry_, Registry::Create(*vault->journal_, state));
  KEYWARD_ASSIGN(
      vault->keys_,
      KeyRing::Create({*vault->journal_, parts.pools, parts.clock, parts.rng, parts.post,
                       parts.rules, std::move(parts.version_changed), vault->transport_key_},
                      state));
  vault->schedule_.emplace(*vault->keys_, *vault->journal_, parts.clock, std::move(parts.rules));
  vault->service_key_.emplace(*vault->keys_, std::move(parts.custodian), std::move(parts.post));
  vault->checkpoints_.emplace(*vault->service_key_, *vault->journal_, parts.clock,
                              parts.checkpoint_interval);
  return vault;
}

Vault::~Vault() {
  for (const std::weak_ptr<EndsWithVault>& each : held_) {
    if (const std::shared_ptr<EndsWithVault> held = each.lock()) held->End();
  }
  if (keys_ != nullptr) keys_->Seal();
  backup_.key.Wipe();
  token_key_.reset();
  journal_->Stop();
  // The rest of the secrets before the store, whose closing may wait for the disk.
  checkpoints_.reset();
  service_key_.reset();
  schedule_.reset();
  keys_.reset();
  transport_key_.reset();
}

}  // namespace keyward
