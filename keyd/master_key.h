// The one secret that everything else which keyd stores depends on.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/master_sealer.h"
#include "core/rng.h"
#include "core/secret_bytes.h"

namespace keyward {

// What a subkey is for. The numbers are the subkey ids of the KDF: never renumber, only append.
enum class Subkey : uint64_t {
  kStoreMac = 1,
  kWrapping = 2,
  kToken = 3,
  kAudit = 4,       // the MAC of the file `audit-tail`
  kTransport = 5,   // what the seeds of derived keys are made of
  kCheck = 6,       // not secret: shows which master key something belongs to
  kBackup = 7,      // tells backups of this service from others
  kSecondSeal = 8,  // MACs of the files `master-key.second` and `master-key.former`
};

// kMasterKeySize random bytes. Subkeys come from libsodium's crypto_kdf: keyed BLAKE2b-256 of
// nothing, with the subkey id as salt and "KeywardM" as personalisation, so that none says anything
// about another or about the master key. docs/STORE_FORMAT.md has the table.
class MasterKey {
 public:
  // Errors of both: kResourceExhausted.
  static Result<MasterKey> Make(Rng& rng);
  // Errors also: kDataCorrupt (another size).
  static Result<MasterKey> FromBytes(SecretBytes bytes);

  // 32 bytes. Errors: kResourceExhausted, kInternal.
  Result<SecretBytes> Derive(Subkey subkey) const;

  const SecretBytes& bytes() const { return bytes_; }

 private:
  explicit MasterKey(SecretBytes bytes) : bytes_(std::move(bytes)) {}

  SecretBytes bytes_;
};

}  // namespace keyward
