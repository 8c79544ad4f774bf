#include "keyd/registry.h"

#include <utility>

namespace keyward {

Result<Registry> Registry::Create(Store& store, const StoredState& state) {
  Registry registry(store);
  for (const ModuleRecord& module : state.modules) registry.modules_[module.name] = module.key;
  for (const PeerRecord& peer : state.peers) {
    KEYWARD_ASSIGN(PublicKey key, PublicKey::FromSpki(peer.spki));
    registry.peers_.emplace(peer.name, std::move(key));
  }
  return registry;
}

Result<void> Registry::EnrolModule(const std::string& name, const std::string& key) {
  if (peers_.contains(name)) {
    return Fail(ErrorCode::kAlreadyExists, "a remote peer has that name; remove it first");
  }
  KEYWARD_TRY(store_->PutModule({name, key}));
  modules_[name] = key;
  return {};
}

Result<void> Registry::RemoveModule(const std::string& name) {
  if (!modules_.contains(name)) return Fail(ErrorCode::kNotFound, "the module is not enrolled");
  KEYWARD_TRY(store_->DeleteModule(name));
  modules_.erase(name);
  return {};
}

void Registry::ForgetIdentity(const std::string& key) {
  std::erase_if(modules_, [&key](const auto& module) { return module.second == key; });
}

Result<void> Registry::EnrolPeer(const std::string& name, const PublicKey& key) {
  if (modules_.contains(name)) {
    return Fail(ErrorCode::kAlreadyExists, "a module has that name; remove it first");
  }
  if (key.algorithm() != Algorithm::kEd25519) {
    return Fail(ErrorCode::kNotSupported, "a peer's identity is an Ed25519 key");
  }
  KEYWARD_TRY(store_->PutPeer({name, key.spki()}));
  peers_.insert_or_assign(name, key);
  return {};
}

Result<void> Registry::RemovePeer(const std::string& name) {
  if (!peers_.contains(name)) return Fail(ErrorCode::kNotFound, "there is no such peer");
  KEYWARD_TRY(store_->DeletePeer(name));
  peers_.erase(name);
  return {};
}

const std::string* Registry::IdentityOf(std::string_view module) const {
  const auto found = modules_.find(module);
  return found == modules_.end() ? nullptr : &found->second;
}

const PublicKey* Registry::PeerKey(std::string_view peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second;
}

}  // namespace keyward
