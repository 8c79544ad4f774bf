#include "keyd/hardware_watch.h"

#include "keyd/hardware_judgement.h"
#include "keyd/log.h"

namespace keyward {
namespace {

constexpr int kHealthyInterval = 5;  // in checks: hardware that is well is asked less often

}  // namespace

void HardwareWatch::Check() {
  const bool ask_all = checks_++ % kHealthyInterval == 0;
  for (const auto& [name, pool] : daemon_.pools) {
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

// Runs on the custodian's thread.
HardwareWatch::Sight HardwareWatch::See(Custodian& custodian, const Look& look) {
  Sight sight;
  if (look.counter) sight.counter = custodian.counter().Read(*look.counter);
  if (custodian.attester() != nullptr && !look.pcrs.empty()) {
    // Where they cannot be read just now, the next check tells.
    if (Result<PcrValues> values = custodian.attester()->ReadPcrs(look.pcrs)) sight.pcrs = *values;
  }
  return sight;
}

void HardwareWatch::OnHealthy(CustodianPool& pool, const Look& look, const Sight& sight) {
  pool.SetConcern(Judge(pool, look, sight));
  unsealer_.OnHealthy(pool);
  attestation_.OnHealthy(pool);
}

std::optional<Error> HardwareWatch::Judge(const CustodianPool& pool, const Look& look,
                                          const Sight& sight) {
  std::optional<Error> boot = sight.pcrs ? JudgeBoot(*sight.pcrs) : std::nullopt;
  // Since the question the store may have been sealed, or have gone on.
  const bool still_counts = daemon_.vault != nullptr && daemon_.vault->epoch() == look.epoch;
  if (sight.counter && still_counts) {
    if (auto concern = JudgeCounter(*sight.counter, look.epoch)) return concern;
  }
  const bool has_master_key = pool.name() == unsealer_.record().custodian;
  if (sight.pcrs && has_master_key && daemon_.vault != nullptr) {
    if (auto concern = JudgePcrs(unsealer_.policies(), *sight.pcrs)) return concern;
  }
  return boot;
}

std::optional<Error> HardwareWatch::JudgeBoot(const PcrValues& values) {
  const bool other = daemon_.boot.Compare(values);
  if (daemon_.boot.state() != BootState::kChanged) {
    if (other) LogLine(LogLevel::kNotice, "the PCRs are those of this boot's quote again");
    return std::nullopt;
  }
  return Error(ErrorCode::kPcrMismatch, daemon_.boot.Detail());
}

}  // namespace keyward
