// Values that keyd gives over the bus, in the types of core. Errors of all: kMalformed, for one
// that has not the size which it has to have.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "core/pcr_policy.h"
#include "core/result.h"
#include "core/revocation_list.h"
#include "dbus/sdbus_compat.h"

namespace keyward {

template <size_t kSize>
Result<std::array<uint8_t, kSize>> ArrayFromBus(const Bytes& bytes) {
  if (bytes.size() != kSize) {
    return Fail(Error(ErrorCode::kMalformed, "keyd gave an answer that is none")
                    .WithCause(std::to_string(bytes.size()) + " bytes instead of " +
                               std::to_string(kSize)));
  }
  std::array<uint8_t, kSize> array{};
  std::ranges::copy(bytes, array.begin());
  return array;
}

inline Result<PcrValues> PcrValuesFromBus(const std::vector<sdbus::Struct<uint32_t, Bytes>>& rows) {
  PcrValues values;
  for (const auto& row : rows) {
    KEYWARD_ASSIGN(values[row.get<0>()], ArrayFromBus<std::tuple_size_v<PcrValue>>(row.get<1>()));
  }
  return values;
}

// A fingerprint, a name, a version, and a time in ms.
template <class Row>
Result<Revocation> RevocationFromBus(const Row& row) {
  Revocation revocation{};
  KEYWARD_ASSIGN(revocation.fingerprint,
                 ArrayFromBus<std::tuple_size_v<Fingerprint>>(row.template get<0>()));
  revocation.name = row.template get<1>();
  revocation.version = row.template get<2>();
  revocation.at = WallTime(std::chrono::milliseconds(row.template get<3>()));
  return revocation;
}

}  // namespace keyward
