// One MAC over everything that a store holds.
#pragma once

#include <array>

#include "core/result.h"
#include "core/secret_bytes.h"

struct sqlite3;

namespace keyward {

using StoreMac = std::array<uint8_t, 32>;

// BLAKE2b-256, keyed with `key` (32 bytes), over `bound_to`, the schema version, the epoch, and
// every table but `integrity` with its definition and all rows, in an order and a form that
// docs/STORE_FORMAT.md gives. It knows no table by name, so it holds for stores of every schema
// version. Errors: kIo, kDataCorrupt, kInternal (libsodium, or another size of key).
Result<StoreMac> MacOfStore(sqlite3* database, uint64_t epoch, const SecretBytes& key,
                            ByteView bound_to);

}  // namespace keyward
