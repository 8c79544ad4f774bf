#include "keyd/key.h"

#include <algorithm>
#include <utility>

namespace keyward {

void Key::Add(std::shared_ptr<KeyVersion> version) {
  if (version->state() == VersionState::kActive) active->Set(version);
  versions.push_back(std::move(version));
}

void Key::Activate(const std::shared_ptr<KeyVersion>& version, WallTime now, WallTime retire_at) {
  for (const std::shared_ptr<KeyVersion>& other : versions) other->Retire(retire_at);
  version->Activate(now);
  active->Set(version);
}

std::shared_ptr<KeyVersion> Key::Find(uint32_t number) const {
  const auto found = std::ranges::find(versions, number, &KeyVersion::number);
  return found == versions.end() ? nullptr : *found;
}

std::shared_ptr<KeyVersion> Key::Prepared() const {
  const auto found = std::ranges::find(versions, VersionState::kPending, &KeyVersion::state);
  return found == versions.end() ? nullptr : *found;
}

std::vector<std::shared_ptr<KeyVersion>> Key::Provable() const {
  std::vector<std::shared_ptr<KeyVersion>> provable;
  for (const std::shared_ptr<KeyVersion>& version : versions) {
    if (version->CheckUsable()) provable.push_back(version);
  }
  return provable;
}

bool Key::IsDestroyed() const {
  return std::ranges::all_of(versions, [](const std::shared_ptr<KeyVersion>& version) {
    return version->state() == VersionState::kDestroyed;
  });
}

}  // namespace keyward
