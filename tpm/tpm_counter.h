// Counters in a TPM's NV memory.
#pragma once

#include "core/counter.h"
#include "tpm/link_keeper.h"

namespace keyward::tpm {

// One NV index of type counter (TPM 2.0 part 1, 37.2.4) each. The TPM itself sees to it that it
// only goes up, and that a new one begins above every value that any counter of that TPM ever had:
// so one that is destroyed and made again is no way back either. Values come in the session that is
// salted to the pinned primary: nobody on the bus can make one up.
//
// The index carries a hash of the counter's whole id as its authPolicy, which nothing uses: so one
// for another id is recognised, though its handle has but 22 bits. Its authorization value is a
// hash of the id, too. That keeps those who do not know the id from wearing the counter out or
// counting in our place, no more: who may use the TPM's owner hierarchy, whose password is empty,
// can remove any counter anyway, which shows as kNotFound. A random value would have to be kept
// somewhere, and would have to be back before anything that the counter protects can be trusted.
//
// Wear: Create writes NV twice, Increment and Destroy once each; Read never.
class TpmCounter final : public Counter {
 public:
  explicit TpmCounter(LinkKeeper& links) : links_(links) {}

  // Errors: kResourceExhausted (no room for one more).
  Result<uint64_t> Create(const KeyId& id) override;
  // A counter whose making was cut short is none.
  Result<uint64_t> Read(const KeyId& id) override;
  // Not counted twice when the TPM is lost meanwhile and comes back.
  Result<uint64_t> Increment(const KeyId& id) override;
  // An index that is not the one which Create makes for `id` stays.
  Result<void> Destroy(const KeyId& id) override;

 private:
  LinkKeeper& links_;
};

}  // namespace keyward::tpm
