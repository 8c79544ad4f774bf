// The states a key version goes through.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace keyward {

// pending -> active -> retiring -> retired, and from anywhere -> revoked, -> destroyed. The numbers
// are those of the store: never renumber, only append.
enum class VersionState : uint8_t {
  kPending = 1,   // announced to the custodian, or made and waiting to be activated
  kActive = 2,    // signs; one per key
  kRetiring = 3,  // replaced: until its grace period ends, peers may still prove themselves with it
  kRevoked = 4,   // never usable again
  kRetired = 5,   // the grace period is over: not usable, but nothing was wrong with it
  kDestroyed = 6,  // the private half is gone; what remains says that it was there
};

// "pending", "active", "retiring", "revoked", "retired", "destroyed"
std::string_view Name(VersionState state);
std::optional<VersionState> VersionStateFromNumber(int number);

}  // namespace keyward
