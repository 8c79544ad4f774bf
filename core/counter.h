// The capability to count up and never down, so that old state can be told from the latest.
#pragma once

#include <cstdint>

#include "core/key_id.h"
#include "core/result.h"

namespace keyward {

// Counters are named by ids that keyd chooses. Hardware of this kind wears: it is made for some
// hundred thousand increments, so only lifecycle events count. One thread at a time. Errors of all:
// those common to all calls; see signer.h.
class Counter {
 public:
  virtual ~Counter() = default;

  // Makes a counter and gives its first value, which need not be 0. Errors: kAlreadyExists.
  virtual Result<uint64_t> Create(const KeyId& id) = 0;
  // Errors: kNotFound.
  virtual Result<uint64_t> Read(const KeyId& id) = 0;
  // Gives the new value, which is the old one plus 1. After an error it may have counted or not:
  // Read tells. Errors: kNotFound.
  virtual Result<uint64_t> Increment(const KeyId& id) = 0;
  // One that is not there any more is success.
  virtual Result<void> Destroy(const KeyId& id) = 0;
};

}  // namespace keyward
