#include "core/purpose.h"

namespace keyward {

std::string_view Name(Purpose purpose) {
  switch (purpose) {
    case Purpose::kTls13Server:
      return "tls13-server";
    case Purpose::kTls13Client:
      return "tls13-client";
    case Purpose::kAico:
      return "aico";
    case Purpose::kRaw:
      return "raw";
  }
  return "unknown";
}

std::optional<Purpose> PurposeFromName(std::string_view name) {
  for (const Purpose purpose : kPurposes) {
    if (Name(purpose) == name) return purpose;
  }
  return std::nullopt;
}

}  // namespace keyward
