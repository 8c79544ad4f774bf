// Looks after the hardware: whether each custodian serves, and whether one that serves is still
// what the stored state and this boot depend on.
#pragma once

#include <map>
#include <optional>

#include "keyd/attestation.h"
#include "keyd/unsealer.h"

namespace keyward {

// Belongs to the bus thread. Outlives the threads of the pools.
class HardwareWatch {
 public:
  HardwareWatch(Daemon& daemon, Unsealer& unsealer, Attestation& attestation)
      : daemon_(daemon), unsealer_(unsealer), attestation_(attestation) {}

  // To be called every few seconds: asks the hardware that gives reason for concern, and every few
  // times all of it. What hardware that serves brings about begins here: unsealing, the quote of
  // the boot, and what was put off until it came.
  void Check();

 private:
  // What to look at, beside whether it serves.
  struct Look {
    std::optional<KeyId> counter;
    uint64_t epoch = 0;  // of the store, as of the question
    PcrSelection pcrs;   // none: nothing is read
  };
  struct Sight {
    std::optional<Result<uint64_t>> counter;
    std::optional<PcrValues> pcrs;
  };
  // As they were judged last.
  struct Concerns {
    std::optional<Error> counter;
    std::optional<Error> pcrs;
  };

  void Ask(CustodianPool& pool);
  Look WhatToLookAt(const CustodianPool& pool) const;
  static Sight See(Custodian& custodian, const Look& look);
  void OnHealthy(CustodianPool& pool, const Look& look, const Sight& sight);
  void JudgeStored(Concerns& concerns, const CustodianPool& pool, const Look& look,
                   const Sight& sight) const;
  std::optional<Error> JudgeBoot(const CustodianPool& pool, const Sight& sight);

  Daemon& daemon_;
  Unsealer& unsealer_;
  Attestation& attestation_;
  std::map<const CustodianPool*, Concerns> concerns_;
  int checks_ = 0;
};

}  // namespace keyward
