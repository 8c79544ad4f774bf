// How the store keeps what a custodian needs to use a key.
//
// A key's reference is worth nothing without the chip or token; wrapped under a subkey of the
// master key, it is worth nothing without the master key either, which a TPM releases in signed
// states of the boot alone.
#pragma once

#include "core/key_id.h"
#include "core/result.h"
#include "core/rng.h"
#include "core/secret_bytes.h"

namespace keyward {

// nonce (24) | XChaCha20-Poly1305 (libsodium's IETF construction) of `reference`, with "keyward
// reference 1" | id | name of the key as associated data. `wrapping_key`: 32 bytes. Errors:
// kInternal.
Result<Bytes> WrapReference(ByteView reference, std::string_view key, const KeyId& id,
                            const SecretBytes& wrapping_key, Rng& rng);

// Errors: kDataCorrupt (changed, or of another version).
Result<Bytes> UnwrapReference(ByteView wrapped, std::string_view key, const KeyId& id,
                              const SecretBytes& wrapping_key);

}  // namespace keyward
