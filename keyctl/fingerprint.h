// A public key, as people compare it.
#pragma once

#include <string>

#include "core/encoding.h"
#include "core/public_key.h"

namespace keyward::keyctl {

// SHA-256 of a SubjectPublicKeyInfo in hex; "" where it is none.
inline std::string FingerprintOf(const Bytes& spki) {
  const Result<PublicKey> key = PublicKey::FromSpki(spki);
  return key ? ToHex(key->Fingerprint()) : std::string();
}

}  // namespace keyward::keyctl
