#include "keyd/version_state.h"

namespace keyward {

std::string_view Name(VersionState state) {
  switch (state) {
    case VersionState::kPending:
      return "pending";
    case VersionState::kActive:
      return "active";
    case VersionState::kRetiring:
      return "retiring";
    case VersionState::kRevoked:
      return "revoked";
    case VersionState::kRetired:
      return "retired";
    case VersionState::kDestroyed:
      return "destroyed";
  }
  return "unknown";
}

std::optional<VersionState> VersionStateFromNumber(int number) {
  if (number < 1 || number > static_cast<int>(VersionState::kDestroyed)) return std::nullopt;
  return static_cast<VersionState>(number);
}

}  // namespace keyward
