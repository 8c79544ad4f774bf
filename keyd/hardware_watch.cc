#include "keyd/hardware_watch.h"

#include "core/inventory.h"
#include "keyd/hardware_judgement.h"
#include "keyd/log.h"

namespace keyward {
namespace {

constexpr int kHealthyInterval = 5;  // in checks: hardware that is well is asked less often

// Not those whose destruction may be under way.
bool IsKept(VersionState state) {
  return state == VersionState::kActive || state == VersionState::kRetiring ||
         state == VersionState::kRetired;
}

}  // namespace

void HardwareWatch::Check() {
  const bool ask_all = checks_++ % kHealthyInterval == 0;
  for (const auto& [name, pool] : daemon_.pools) {
    pool->NoteSilence();
    const CustodianStatus status = pool->Status();
    const bool is_well = status.trouble() == nullptr && !status.description.empty();
    if (ask_all || !is_well) Ask(*pool);
  }
}

void HardwareWatch::Ask(CustodianPool& pool) {
  pool.CheckHealth([this, &pool, look = WhatToLookAt(pool)](const Result<Custodian*>& healthy) {
    if (!healthy) return;
    Sight sight = See(**healthy, look);
    daemon_.post([this, &pool, look, sight] { OnHealthy(pool, look, sight); });
  });
}

HardwareWatch::Look HardwareWatch::WhatToLookAt(const CustodianPool& pool) const {
  Look look;
  if (daemon_.vault != nullptr) look.recorded = SomeKeyOf(pool.name());
  const bool has_master_key = pool.name() == unsealer_.record().custodian;
  if (has_master_key && daemon_.vault != nullptr) {
    look.counter = unsealer_.record().counter;
    look.epoch = daemon_.vault->epoch();
  }
  if (has_master_key) {
    for (const SignedPcrPolicy& policy : unsealer_.policies()) {
      look.pcrs.insert(policy.pcrs.begin(), policy.pcrs.end());
    }
  }
  if (pool.name() == Attestation::kCustodian && daemon_.boot.quote()) {
    look.pcrs.insert(daemon_.boot.pcrs()->begin(), daemon_.boot.pcrs()->end());
  }
  return look;
}

// One tells of all: whoever initialises a token leaves none.
std::optional<HardwareWatch::Recorded> HardwareWatch::SomeKeyOf(std::string_view custodian) const {
  for (const auto& [name, key] : daemon_.vault->keys().keys()) {
    if (key.record.custodian != custodian || key.record.custody == Custody::kDerived) continue;
    for (const auto& version : key.versions) {
      if (!IsKept(version->state())) continue;
      return Recorded{name, version->number(), key.record.custody, version->reference()};
    }
  }
  return std::nullopt;
}

bool HardwareWatch::IsStillRecorded(const Recorded& recorded) const {
  const Key* key = daemon_.vault->keys().Find(recorded.key);
  const auto version = key == nullptr ? nullptr : key->Find(recorded.number);
  return version != nullptr && IsKept(version->state());
}

// Both run on the custodian's thread.
std::optional<bool> HardwareWatch::Holds(Custodian& custodian, const Recorded& recorded) {
  auto* inventory = dynamic_cast<Inventory*>(&custodian);
  if (inventory == nullptr) return std::nullopt;
  const Result<bool> held = recorded.custody == Custody::kSealed
                                ? inventory->HoldsKeyOf(recorded.reference)
                                : inventory->HoldsKey(recorded.reference);
  return held ? std::optional(*held) : std::nullopt;
}

HardwareWatch::Sight HardwareWatch::See(Custodian& custodian, const Look& look) {
  Sight sight;
  if (look.recorded) sight.held = Holds(custodian, *look.recorded);
  if (look.counter) sight.counter = custodian.counter().Read(*look.counter);
  if (custodian.attester() != nullptr && !look.pcrs.empty()) {
    // Where they cannot be read just now, the next check tells.
    if (Result<PcrValues> values = custodian.attester()->ReadPcrs(look.pcrs)) sight.pcrs = *values;
  }
  return sight;
}

void HardwareWatch::OnHealthy(CustodianPool& pool, const Look& look, const Sight& sight) {
  Concerns& concerns = concerns_[&pool];
  JudgeStored(concerns, pool, look, sight);
  std::optional<Error> boot = JudgeBoot(pool, sight);
  const auto first = [](const auto& one, const auto& other) { return one ? one : other; };
  pool.SetConcern(first(concerns.counter, first(concerns.key, first(concerns.pcrs, boot))));
  unsealer_.OnHealthy(pool);
  attestation_.OnHealthy(pool);
}

// What the sight says nothing of stays as it was judged last.
void HardwareWatch::JudgeStored(Concerns& concerns, const CustodianPool& pool, const Look& look,
                                const Sight& sight) const {
  if (daemon_.vault == nullptr) {
    concerns = {};  // what a sealed service waits for, its seal tells
    return;
  }
  if (!look.recorded) concerns.key.reset();
  if (sight.held && IsStillRecorded(*look.recorded)) concerns.key = JudgeKey(*sight.held);
  if (pool.name() != unsealer_.record().custodian) {
    concerns.counter.reset();
    concerns.pcrs.reset();
    return;
  }
  // Since the question the store may have gone on.
  const bool still_counts = daemon_.vault->epoch() == look.epoch;
  if (still_counts && sight.counter && TellsOfCounter(*sight.counter)) {
    concerns.counter = JudgeCounter(*sight.counter, look.epoch);
  }
  if (sight.pcrs) concerns.pcrs = JudgePcrs(unsealer_.policies(), *sight.pcrs);
}

std::optional<Error> HardwareWatch::JudgeBoot(const CustodianPool& pool, const Sight& sight) {
  if (pool.name() != Attestation::kCustodian) return std::nullopt;
  const bool other = sight.pcrs && daemon_.boot.Compare(*sight.pcrs);
  if (daemon_.boot.state() == BootState::kChanged) {
    return Error(ErrorCode::kPcrMismatch, daemon_.boot.Detail());
  }
  if (other) LogLine(LogLevel::kNotice, "the PCRs are those of this boot's quote again");
  return std::nullopt;
}

}  // namespace keyward
