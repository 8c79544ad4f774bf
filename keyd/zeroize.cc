// The emergency: Unsealer::ZeroizeAll.
#include <utility>

#include "core/file.h"
#include "keyd/ask.h"
#include "keyd/log.h"
#include "keyd/master_home.h"
#include "keyd/unsealer.h"

namespace keyward {

void Unsealer::WipeToZeroize() {
  if (daemon_.vault != nullptr) {
    to_destroy_.try_emplace(record_.custodian);
    for (auto& [name, references] : daemon_.vault->keys().HardwareReferences()) {
      to_destroy_[name].references = std::move(references);
    }
  }
  DropVault();
}

void Unsealer::ZeroizeAll(const Done& done) {
  if (!sealed_by_admin_) WipeToZeroize();
  const bool known = !to_destroy_.empty();
  Result<void> outcome = ReplaceFile(SealMark(), {});
  // The store is closed by now. It tells also of keys that were not made to their end, and of those
  // that a ZeroizeAll has left that was killed.
  Result<std::map<std::string, std::vector<KeyId>>> stored =
      Store::ReadHardwareIds(directory_ / kStateFile);
  if (stored) {
    for (auto& [name, ids] : *stored) to_destroy_[name].ids = std::move(ids);
  } else if (outcome && !known) {
    outcome = Fail(stored.error());
  }
  const Result<std::optional<SecondSeal>> second = ReadSecondSeal(directory_);
  if (!second) LogError("reading master-key.second", second.error());
  DoomSeals(second ? *second : std::nullopt);
  DestroyStraySeals();
  // Where hardware has it, the file goes when that has done its part.
  const bool in_hardware = second && *second && (*second)->InHardware();
  const Result<void> removed = in_hardware ? Result<void>() : RemoveFile(directory_ / kSecondFile);
  if (outcome) outcome = removed;
  DestroyDoomed(outcome, done);
}

void Unsealer::DestroyDoomed(const Result<void>& outcome, const Done& done) {
  const auto keys = to_destroy_;
  struct Progress {
    size_t left;
    Result<void> outcome;
  };
  auto progress = std::make_shared<Progress>(Progress{keys.size(), outcome});
  for (const auto& [name, doomed] : keys) {
    const auto finish = [this, name, progress, done](const Result<void>& destroyed) {
      if (destroyed) {
        to_destroy_.erase(name);
        ForgetSecond(name);
      }
      if (progress->outcome && !destroyed) progress->outcome = destroyed;
      if (--progress->left == 0) done(progress->outcome);
    };
    const Result<CustodianPool*> pool = FindCustodian(daemon_.pools, name);
    if (!pool) {
      daemon_.post([finish, error = pool.error()] { finish(Fail(error)); });
      continue;
    }
    Ask<void>(
        **pool, kDaemonItself, daemon_.post,
        [doomed](Custodian& custodian) { return DestroyAll(custodian, doomed); }, finish);
  }
}

// Sealed, keyd has no key to check with what master-key.former says. It is taken at its word then:
// a seal that were left there would open all that is stored, and who wrote the file could have
// written `master-key` as well, whose names are destroyed in the same ways: as seals and as
// counters of Keyward, and as nothing else.
void Unsealer::DoomSeals(const std::optional<SecondSeal>& second) {
  to_destroy_.try_emplace(record_.custodian);
  if (second && second->InHardware()) to_destroy_.try_emplace(second->place);
  for (auto& entry : to_destroy_) {
    Doomed& doomed = entry.second;
    doomed.seals = {SecondSealId(record_.check)};
    doomed.counters.clear();
    if (record_.custodian == entry.first) doomed.Add(PartsOf(record_));
    if (former_ && former_->parts.custodian == entry.first) doomed.Add(former_->parts);
  }
}

// Hardware that was lost does not keep the rest from being done with.
void Unsealer::DestroyStraySeals() {
  for (const auto& [name, pool] : daemon_.pools) {
    if (to_destroy_.contains(name)) continue;
    Doomed doomed;
    doomed.seals = {SecondSealId(record_.check)};
    if (former_ && former_->parts.custodian == name) doomed.Add(former_->parts);
    Ask<void>(
        *pool, kDaemonItself, daemon_.post,
        [doomed](Custodian& custodian) { return DestroyAll(custodian, doomed); },
        [name](const Result<void>& destroyed) {
          if (!destroyed)
            LogError("looking for seals of the master key in the " + name, destroyed.error());
        });
  }
}

void Unsealer::ForgetSecond(const std::string& place) {
  const Result<std::optional<SecondSeal>> second = ReadSecondSeal(directory_);
  if (!second || !*second || (*second)->place != place) return;
  if (const Result<void> removed = RemoveFile(directory_ / kSecondFile); !removed) {
    LogError("removing master-key.second", removed.error());
  }
}

// The master key first: what depends on it is useless from then on. What fails keeps nothing else
// from being destroyed.
Result<void> Unsealer::DestroyAll(Custodian& custodian, const Doomed& doomed) {
  Result<void> first_failure;
  const auto note = [&first_failure](Result<void> outcome) {
    if (first_failure) first_failure = std::move(outcome);
  };
  for (const KeyId& seal : doomed.seals) note(custodian.master_sealer().DestroyMaster(seal));
  for (const KeyReference& key : doomed.references) note(custodian.signer().DestroyKey(key));
  if (!doomed.ids.empty()) note(custodian.signer().DestroyUnrecorded(doomed.ids));
  for (const KeyId& counter : doomed.counters) note(custodian.counter().Destroy(counter));
  return first_failure;
}

}  // namespace keyward
