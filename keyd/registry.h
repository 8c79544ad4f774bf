// The modules and remote peers that an admin has enrolled.
#pragma once

#include <map>
#include <string>

#include "core/public_key.h"
#include "keyd/store.h"

namespace keyward {

// Belongs to the bus thread. Every change is on disk before it is visible. Errors of the changes:
// the store's.
class Registry {
 public:
  // Errors: kDataCorrupt.
  static Result<Registry> Create(Store& store, const StoredState& state);

  // Errors also: kAlreadyExists (a peer has that name).
  Result<void> EnrolModule(const std::string& name, const std::string& key);
  // Errors also: kNotFound.
  Result<void> RemoveModule(const std::string& name);
  // Forgets every module whose identity was `key`, which the store has deleted.
  void ForgetIdentity(const std::string& key);
  // Errors also: kAlreadyExists (a module has that name), kNotSupported (not Ed25519).
  Result<void> EnrolPeer(const std::string& name, const PublicKey& key);
  // Errors also: kNotFound.
  Result<void> RemovePeer(const std::string& name);

  // The name of the module's identity key; null when it is not enrolled.
  const std::string* IdentityOf(std::string_view module) const;
  // Null when there is no such remote peer.
  const PublicKey* PeerKey(std::string_view peer) const;

  const std::map<std::string, std::string, std::less<>>& modules() const { return modules_; }
  const std::map<std::string, PublicKey, std::less<>>& peers() const { return peers_; }

 private:
  explicit Registry(Store& store) : store_(&store) {}

  Store* store_;
  std::map<std::string, std::string, std::less<>> modules_;
  std::map<std::string, PublicKey, std::less<>> peers_;
};

}  // namespace keyward
