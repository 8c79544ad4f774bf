// ESAPI's own structures while they hold a secret: on the stack, wiped at their end.
#pragma once

#include <sodium.h>
#include <tss2/tss2_tpm2_types.h>

#include <algorithm>
#include <type_traits>

#include "core/bytes.h"

namespace keyward::tpm {

// Neither copied nor moved, so that there is one place to wipe.
template <class T>
class Wiped {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Wiped() = default;
  template <class Fill>
  explicit Wiped(Fill fill) {
    fill(value_);
  }
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { sodium_memzero(&value_, sizeof(value_)); }

  T& operator*() { return value_; }
  const T& operator*() const { return value_; }

 private:
  T value_{};
};

// `bytes` in a TPM2B, which must have room for them.
template <class Tpm2b>
void Assign(Tpm2b& target, ByteView bytes) {
  target.size = static_cast<uint16_t>(bytes.size());
  std::ranges::copy(bytes, target.buffer);
}

inline Wiped<TPM2B_AUTH> AuthValue(ByteView auth) {
  return Wiped<TPM2B_AUTH>([auth](TPM2B_AUTH& value) { Assign(value, auth); });
}

// What TPM2_Create takes in secret: the new object's authorization value (at most 32 bytes, the
// size of its name algorithm) and, for a sealed object, its data (at most 128 bytes).
inline Wiped<TPM2B_SENSITIVE_CREATE> Sensitive(ByteView auth, ByteView data) {
  return Wiped<TPM2B_SENSITIVE_CREATE>([&](TPM2B_SENSITIVE_CREATE& value) {
    Assign(value.sensitive.userAuth, auth);
    Assign(value.sensitive.data, data);
  });
}

}  // namespace keyward::tpm
