// Timing for the benchmark programs: each prints one number, and bench/run does the rest.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/result.h"

namespace keyward::bench {

// How long one measurement lasts. bench/run takes several, alternating with the peer's.
inline constexpr std::chrono::milliseconds kRound{400};

using Operation = std::function<Result<void>()>;

// Operations per second over one round, after a short warm-up.
inline Result<double> MeasureRate(const Operation& operation) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 3; ++i) KEYWARD_TRY(operation());
  const auto start = Clock::now();
  auto now = start;
  int64_t done = 0;
  while (now - start < kRound) {
    KEYWARD_TRY(operation());
    ++done;
    now = Clock::now();
  }
  return static_cast<double>(done) / std::chrono::duration<double>(now - start).count();
}

// The median time of one operation in milliseconds over one round.
inline Result<double> MeasureMedian(const Operation& operation) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  const auto end = Clock::now() + kRound;
  for (int i = 0; i < 3; ++i) KEYWARD_TRY(operation());
  while (Clock::now() < end || times.size() < 11) {
    const auto start = Clock::now();
    KEYWARD_TRY(operation());
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  std::ranges::nth_element(times, times.begin() + static_cast<int64_t>(times.size() / 2));
  return times[times.size() / 2];
}

// Prints the number, or why there is none; the exit code of main().
inline int Report(const Result<double>& value) {
  if (!value) {
    fmt::print(stderr, "{} [{}]\n", value.error().ToString(), value.error().cause());
    return 1;
  }
  fmt::print("{:.6g}\n", *value);
  return 0;
}

}  // namespace keyward::bench
