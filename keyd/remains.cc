#include "keyd/remains.h"

#include "keyd/ask.h"

namespace keyward {

void Remains::Note(const VersionRecord& version, const std::string& custodian) {
  left_.insert_or_assign(version.id, One{.key = version.key, .custodian = custodian});
}

std::vector<KeyId> Remains::Of(std::string_view key) const {
  std::vector<KeyId> ids;
  for (const auto& [id, one] : left_) {
    if (one.key == key) ids.push_back(id);
  }
  return ids;
}

void Remains::Forget(std::string_view key) {
  std::erase_if(left_, [key](const auto& each) { return each.second.key == key; });
}

void Remains::Sweep(CustodianPool& pool) {
  std::vector<KeyId> ids;
  for (const auto& [id, one] : left_) {
    if (one.custodian == pool.name() && !one.being_swept) ids.push_back(id);
  }
  if (ids.empty()) return;
  // Before the key goes: no start may find a version of it.
  if (!journal_.Settle()) return;  // until the next time that the custodian serves
  for (const KeyId& id : ids) left_.at(id).being_swept = true;
  Ask<void>(
      pool, kDaemonItself, post_,
      [ids](Custodian& custodian) { return custodian.signer().DestroyUnrecorded(ids); },
      [weak = weak_from_this(), ids](const Result<void>& swept) {
        if (const auto self = weak.lock()) self->EndSweep(ids, swept);
      });
}

void Remains::EndSweep(const std::vector<KeyId>& ids, const Result<void>& swept) {
  for (const KeyId& id : ids) {
    const auto one = left_.find(id);
    if (one == left_.end()) continue;  // its key was destroyed meanwhile
    const auto forget = [&id](StoreWriter& store) { return store.ForgetPending(id); };
    if (swept && journal_.Note(forget)) {
      left_.erase(one);
    } else {
      one->second.being_swept = false;  // until the next time that the custodian serves
    }
  }
}

}  // namespace keyward
