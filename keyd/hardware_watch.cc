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
  Concerns& concerns = concerns_[&pool];
  JudgeStored(concerns, pool, look, sight);
  std::optional<Error> boot = JudgeBoot(pool, sight);
  pool.SetConcern(concerns.counter ? concerns.counter : concerns.pcrs ? concerns.pcrs : boot);
  unsealer_.OnHealthy(pool);
  attestation_.OnHealthy(pool);
}

// What the sight says nothing of stays as it was judged last.
void HardwareWatch::JudgeStored(Concerns& concerns, const CustodianPool& pool, const Look& look,
                                const Sight& sight) const {
  if (daemon_.vault == nullptr || pool.name() != unsealer_.record().custodian) {
    concerns = {};  // what a sealed service waits for, its seal tells
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
