// What a fuzz target asserts.
#pragma once

#include <cstdlib>

namespace keyward::fuzz {

// Ends the program when `condition` does not hold, so that libFuzzer keeps the input.
inline void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace keyward::fuzz
