// A signed list of public keys that must not be trusted any more, as one host gives it to another.
//
// Text, in lines that end with a newline and whose words are separated by one blank:
//
//   Keyward revocations v1
//   issued 2026-06-15T15:06:40.123Z epoch 12
//   key 5d...(64 hex digits) frontend 2 2026-06-15T15:00:00.000Z
//   peer 0a... sensor-7 - 2026-06-15T15:01:00.000Z
//   signature <fingerprint of the signer> <hex>
//
// The signature is over every line before its own, so that OpenSSL can check it alone. A line that
// is spelled in any other way makes the whole list malformed.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/public_key.h"
#include "core/result.h"

namespace keyward {

inline constexpr size_t kMaxRevocationList = size_t{4} << 20;  // bytes, signature included

struct Revocation {
  Fingerprint fingerprint;
  std::string name;      // of the key or peer where it was revoked: [a-z0-9._-]{1,64}
  uint32_t version = 0;  // of the key; 0 for a remote peer's
  WallTime at;
  bool operator==(const Revocation&) const = default;
};

struct RevocationList {
  WallTime issued;
  uint64_t epoch = 0;  // of the issuer's state: of two lists, the later has the larger one
  std::vector<Revocation> revocations;
  bool operator==(const RevocationList&) const = default;
};

// What is to be signed.
std::string Compose(const RevocationList& list);
// The whole list: `composed` and the signature of it.
std::string WithSignature(std::string composed, ByteView signature, const PublicKey& signer);

// Errors: kTooLarge, kMalformed, kNotSupported (a later version of the format),
// kAuthenticationFailed (not signed by `signer`).
Result<RevocationList> ReadRevocationList(std::string_view text, const PublicKey& signer);

}  // namespace keyward
