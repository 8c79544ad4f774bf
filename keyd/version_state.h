// The states a key version goes through.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace keyward {

// pending -> active -> retiring, and from anywhere -> revoked. A destroyed version has no record.
enum class VersionState : uint8_t {
  kPending = 1,   // announced to the custodian, not usable; what a crash leaves here is removed
  kActive = 2,    // signs; one per key
  kRetiring = 3,  // replaced: existing sessions go on, new ones take the active version
  kRevoked = 4,   // never usable again
};

// "pending", "active", "retiring", "revoked"
std::string_view Name(VersionState state);
std::optional<VersionState> VersionStateFromNumber(int number);

}  // namespace keyward
