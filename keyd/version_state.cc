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
  }
  return "unknown";
}

std::optional<VersionState> VersionStateFromNumber(int number) {
  if (number < 1 || number > static_cast<int>(VersionState::kRevoked)) return std::nullopt;
  return static_cast<VersionState>(number);
}

}  // namespace keyward
