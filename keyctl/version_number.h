// The number of a key's version on the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <limits>

namespace keyward::keyctl {

// CLI11's own PositiveNumber tells whoever errs of the largest double, in 309 digits.
inline CLI::Range VersionNumber() {
  return {uint32_t{1}, std::numeric_limits<uint32_t>::max(), "POSITIVE"};
}

}  // namespace keyward::keyctl
