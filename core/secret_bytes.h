// The only type that holds a secret: fixed size, move-only, wiped at its end.
#pragma once

#include <utility>

#include "core/bytes.h"
#include "core/result.h"
#include "core/rng.h"

namespace keyward {

// Lives in the pages of core/secret_memory.h. A moved-from or default-made object is empty. One
// thread at a time, as any value. Reading one takes RevealSecret(), so that `grep RevealSecret`
// lists every place where a secret can leave.
class SecretBytes {
 public:
  SecretBytes() = default;
  // Zero-filled. Errors of all three: kTooLarge, kResourceExhausted.
  static Result<SecretBytes> Create(size_t size);
  static Result<SecretBytes> Random(size_t size, Rng& rng);
  // The caller still has to wipe `source`: see TakeFrom.
  static Result<SecretBytes> CopyOf(ByteView source);
  // Copies and wipes `source`, whether or not it succeeds: for buffers that a C library filled.
  static Result<SecretBytes> TakeFrom(MutableBytes source);

  SecretBytes(SecretBytes&& other) noexcept : slot_(std::exchange(other.slot_, {})) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { Wipe(); }

  Result<SecretBytes> Clone() const { return CopyOf(slot_); }
  // Zeroes the bytes and lets the memory go; the object is empty after.
  void Wipe() noexcept;

  size_t size() const { return slot_.size(); }
  bool empty() const { return slot_.empty(); }
  // Constant time in the bytes; sizes are public.
  bool Equals(ByteView other) const;

  ByteView RevealSecret() const { return slot_; }
  MutableBytes RevealSecretForWriting() { return slot_; }

 private:
  explicit SecretBytes(MutableBytes slot) : slot_(slot) {}

  MutableBytes slot_;
};

}  // namespace keyward
