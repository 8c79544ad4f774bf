#include "keyd/rotation_schedule.h"

#include <utility>

#include "keyd/log.h"

namespace keyward {
namespace {

constexpr std::chrono::seconds kRotationRetry{60};
constexpr std::chrono::seconds kNotesInterval{60};

}  // namespace

void RotationSchedule::Tick() {
  keys_.RecordRevocations();
  keys_.EndGracePeriods();
  for (const auto& [name, key] : keys_.keys()) RotateIfDue(name, key);
  const MonotonicTime now = clock_.Monotonic();
  if (now < next_notes_) return;
  next_notes_ = now + kNotesInterval;
  WriteNotes();
}

void RotationSchedule::RotateIfDue(const std::string& name, const Key& key) {
  const Result<std::shared_ptr<KeyVersion>> active = key.active->Get();
  if (!active) return;
  const char* const why = WhyDue(name, **active);
  if (why == nullptr || !MayTry(name)) return;
  keys_.Rotate(name, kDaemonItself,
               [name, why](const Result<std::shared_ptr<KeyVersion>>& rotated) {
                 if (!rotated)
                   return LogError("rotating '" + name + "' by its schedule", rotated.error());
                 Log(LogLevel::kNotice, "key '{}' rotated to version {} for {}", name,
                     (*rotated)->number(), why);
               });
}

const char* RotationSchedule::WhyDue(const std::string& name, const KeyVersion& active) const {
  const policy::RotationRules rules = rules_(name);
  const auto age = keys_.Now() - active.activated().value_or(active.created());
  if (rules.max_age && age >= *rules.max_age) return "its age";
  if (rules.max_uses && active.uses() >= *rules.max_uses) return "its number of signatures";
  return nullptr;
}

bool RotationSchedule::MayTry(const std::string& name) {
  const MonotonicTime now = clock_.Monotonic();
  const auto next = next_try_.find(name);
  if (next != next_try_.end() && now < next->second) return false;
  next_try_[name] = now + kRotationRetry;
  return true;
}

std::vector<VersionUses> RotationSchedule::ChangedUses() {
  std::vector<VersionUses> changed;
  for (const auto& [name, key] : keys_.keys()) {
    for (const std::shared_ptr<KeyVersion>& version : key.versions) {
      const auto written = written_uses_.try_emplace(version->id(), version->record().uses).first;
      const uint64_t uses = version->uses();
      if (uses != written->second) changed.push_back({version->id(), uses});
    }
  }
  return changed;
}

void RotationSchedule::WriteNotes() {
  const std::vector<VersionUses> changed = ChangedUses();
  const Result<void> noted = journal_.Note([&](StoreWriter& store) -> Result<void> {
    KEYWARD_TRY(store.PutUses(changed));
    return store.PutLifecycleTime(keys_.Now());
  });
  if (!noted) return LogError("writing use counts and the time", noted.error());
  for (const VersionUses& each : changed) written_uses_[each.id] = each.uses;
}

}  // namespace keyward
