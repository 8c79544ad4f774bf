// Reading the tables. For keyd/store*.cc alone.
#pragma once

#include <functional>

#include "keyd/store_records.h"

struct sqlite3;

namespace keyward {

// Gives a version's reference as the custodian made it, from what is stored.
using UnwrapFunction = std::function<Result<Bytes>(const VersionRecord&)>;

// Every row, checked for what the database's own types do not say. Errors: kIo, kDataCorrupt.
Result<StoredState> ReadRows(sqlite3* database, const UnwrapFunction& unwrap);

}  // namespace keyward
