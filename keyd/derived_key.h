// Keys of custody derived: Ed25519 seeds that are made of the master key, and kept nowhere.
//
// The salt is what makes each version's seed its own: two services never share one, and neither do
// a key and the one that is made under its name after it was destroyed. Without the salt a seed
// cannot be made again, whoever has the master key. docs/adr/0011-derived-keys.md has the reasons.
#pragma once

#include <string_view>

#include "core/rng.h"
#include "core/secret_bytes.h"
#include "core/signer.h"

namespace keyward {

inline constexpr size_t kDerivationSalt = 32;  // bytes

// Of version `version` of `key`, 32 bytes: BLAKE2b-256, keyed with `transport_key`
// (Subkey::kTransport), of "keyward transport key 1" | name (u8 length) | version (u32) | salt.
// Errors: kDataCorrupt (a salt of another size), kInternal (another size of key),
// kResourceExhausted.
Result<SecretBytes> DeriveSeed(const SecretBytes& transport_key, std::string_view key,
                               uint32_t version, ByteView salt);

// A fresh pair: its public half, and the salt as its reference. Errors: DeriveSeed's.
Result<GeneratedKey> GenerateDerivedKey(const SecretBytes& transport_key, std::string_view key,
                                        uint32_t version, Rng& rng);

}  // namespace keyward
