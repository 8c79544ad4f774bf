// What a backup holds, and the form in which its envelope carries it: docs/BACKUP_FORMAT.md.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>

#include "core/clock.h"
#include "core/key_id.h"
#include "core/rng.h"
#include "core/secret_bytes.h"
#include "keyd/backup/envelope.h"
#include "keyd/store_records.h"

namespace keyward::backup {

using BackupId = std::array<uint8_t, 16>;
using BackupDigest = std::array<uint8_t, 32>;
// Private halves of sealed and derived keys, by version: an Ed25519 seed, 32 bytes.
using Secrets = std::map<KeyId, SecretBytes>;

// All of a backup that is no secret.
struct Manifest {
  BackupId id;         // random
  WallTime created;    // in ms
  uint64_t epoch;      // of the store
  Bytes service;       // Subkey::kCheck of the master key, 32 bytes: whose state this is
  std::string host;    // its name, for people
  std::string keyd;    // version
  std::string master;  // custodian of the master key
  // Without versions that are still being made. The reference of a hardware version is the
  // custodian's, in case this very hardware is there at a restore; that of any other is empty.
  StoredState state;
};

// By the service's own key; see StatementOf.
struct Seal {
  Bytes signer;     // DER SubjectPublicKeyInfo
  Bytes signature;  // both empty: not signed
};

struct Content {
  Manifest manifest;
  Secrets secrets;
  BackupDigest digest;  // of both, keyed
  BackupDigest origin;  // see OriginOf
  Seal seal;            // found to hold, if there is one
};

inline constexpr size_t kMaxManifest = size_t{8} * 1024 * 1024;  // bytes
inline constexpr size_t kMaxSecrets = 65536;

// What the service alone can make: BLAKE2b-256 keyed with Subkey::kBackup. Whoever has a recovery
// certificate can make a backup; this tells the service's own from others.
Result<BackupDigest> OriginOf(const BackupDigest& digest, const SecretBytes& backup_key);

// What the service's own key signs: that this is a backup of its making.
Bytes StatementOf(const BackupDigest& digest);

// Takes plaintext, and keeps no copy.
using Sink = std::function<Result<void>(ByteView)>;

// The two parts of a content, with the digest to be signed between them.
class ContentWriter {
 public:
  // Errors: kResourceExhausted.
  static Result<ContentWriter> Create(Rng& rng);

  // Writes all but the trailer, and gives the digest. Errors: kTooLarge, kInternal, those of
  // `sink`.
  Result<BackupDigest> WriteBody(const Manifest& manifest, const Secrets& secrets,
                                 const HeaderDigest& header, const Sink& sink);
  // Errors: those of `sink`.
  Result<void> WriteTrailer(const BackupDigest& origin, const Seal& seal, const Sink& sink);

 private:
  explicit ContentWriter(SecretBytes mac_key) : mac_key_(std::move(mac_key)) {}

  SecretBytes mac_key_;
  BackupDigest digest_{};
};

// Fills what it is given, or fails.
using Source = std::function<Result<void>(MutableBytes)>;

// Reads it, from the first to the last byte of its MAC, and believes none of it before the MAC was
// found right. Errors: kDataCorrupt (altered), kNotSupported (of a newer Keyward), kMalformed
// (authentic, and yet no state of a keyd), kResourceExhausted, those of `source`.
Result<Content> ReadContent(const HeaderDigest& header, const Source& source);

}  // namespace keyward::backup
