// Randomness and time that are the same in every run, so that what a fuzzer finds can be repeated.
#pragma once

#include <algorithm>

#include "core/clock.h"
#include "core/rng.h"

namespace keyward::fuzz {

class FixedRng final : public Rng {
 public:
  void Fill(MutableBytes out) override { std::ranges::fill(out, uint8_t{0x42}); }
};

class FixedClock final : public Clock {
 public:
  WallTime Now() const override { return WallTime(std::chrono::milliseconds(1'750'000'000'000)); }
  MonotonicTime Monotonic() const override { return {}; }
};

}  // namespace keyward::fuzz
