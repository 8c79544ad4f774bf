// Looks after the hardware: whether each custodian serves, and whether one that serves is still
// what the stored state and this boot depend on.
#pragma once

#include <map>
#include <optional>
#include <string>

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
  // A key whose private half, or what opens it, is to be found in the hardware.
  struct Recorded {
    std::string key;
    uint32_t number;
    Custody custody;
    Bytes reference;
  };
  struct Look {
    std::optional<Recorded> recorded;
    std::optional<KeyId> counter;
    uint64_t epoch = 0;  // of the store, as of the question
    PcrSelection pcrs;   // none: nothing is read
  };
  struct Sight {
    std::optional<Result<uint64_t>> counter;
    std::optional<bool> held;  // nothing: not asked for, or not to be told just now
    std::optional<PcrValues> pcrs;
  };
  // As they were judged last.
  struct Concerns {
    std::optional<Error> counter;
    std::optional<Error> key;
    std::optional<Error> pcrs;
  };

  void Ask(CustodianPool& pool);
  Look WhatToLookAt(const CustodianPool& pool) const;
  std::optional<Recorded> SomeKeyOf(std::string_view custodian) const;
  bool IsStillRecorded(const Recorded& recorded) const;
  static std::optional<bool> Holds(Custodian& custodian, const Recorded& recorded);
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
