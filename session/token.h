// What the holder of a session shows to its peer, who has keyd say that it is true.
// docs/PROTOCOLS.md, "Session tokens".
#pragma once

#include "core/blake2b.h"
#include "core/result.h"
#include "core/secret_bytes.h"

namespace keyward::session {

inline constexpr size_t kTokenSize = 77;  // bytes

struct TokenClaims {
  uint64_t session;
  Hash256 boot;  // names the run of keyd, and the TPM's quote of it, that the session belongs to
  bool operator==(const TokenClaims&) const = default;
};

// A bearer's token, so a secret. `key`: 32 bytes. Errors: kResourceExhausted, kInternal.
Result<SecretBytes> MakeToken(const TokenClaims& claims, const SecretBytes& key);

// Errors: kMalformed (not a token of this version), kAuthenticationFailed (not made with `key`).
Result<TokenClaims> CheckToken(ByteView token, const SecretBytes& key);

}  // namespace keyward::session
