// A key and its versions.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "keyd/key_version.h"

namespace keyward {

struct Key {
  explicit Key(KeyRecord r) : record(std::move(r)) {}

  KeyRecord record;
  std::vector<std::shared_ptr<KeyVersion>> versions;  // ascending; never empty
  std::shared_ptr<ActiveVersion> active = std::make_shared<ActiveVersion>();

  void Add(std::shared_ptr<KeyVersion> version);
  // Makes `version` the one that signs; the one before retires until `retire_at`.
  void Activate(const std::shared_ptr<KeyVersion>& version, WallTime now, WallTime retire_at);
  // Null when there is none of that number.
  std::shared_ptr<KeyVersion> Find(uint32_t number) const;
  // The one that waits to be activated, if any.
  std::shared_ptr<KeyVersion> Prepared() const;
  // Those that a peer may prove itself with: the active one and those in their grace period.
  std::vector<std::shared_ptr<KeyVersion>> Provable() const;
  bool IsDestroyed() const;
};

}  // namespace keyward
