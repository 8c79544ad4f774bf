// What the bus is told of backups.
#pragma once

#include "dbus/sdbus_compat.h"
#include "keyd/backup/backup_service.h"

namespace keyward::bus {

using HeldRows = std::vector<sdbus::Struct<std::string, uint32_t>>;
using LeftOutRows = std::vector<sdbus::Struct<std::string, uint32_t, std::string, std::string>>;
using ProofRows = std::vector<sdbus::Struct<std::string, std::string, std::string>>;

HeldRows HeldBy(const backup::Manifest& manifest);
LeftOutRows LeftOutOf(const backup::Manifest& manifest);
ProofRows ToRows(const std::vector<backup::CustodianProof>& proofs);

// A digest that a caller names. Errors: kInvalidArgument (not 32 bytes).
Result<backup::BackupDigest> ToDigest(ByteView bytes);

}  // namespace keyward::bus
