#include "tpm/storage_primary.h"

#include "tpm/templates.h"

namespace keyward::tpm {

Result<Primary> CreateStoragePrimary(Connection& connection) {
  return CreatePrimary(connection, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, StoragePrimaryTemplate());
}

Result<std::optional<Bytes>> ReadEndorsementName(Connection& connection) {
  Result<Primary> key =
      CreatePrimary(connection, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, EndorsementKeyTemplate());
  if (key) return std::move(key->name);
  if (connection.lost() || key.error().code() == ErrorCode::kCustodianBusy) {
    return Fail(std::move(key).error());
  }
  return std::nullopt;
}

}  // namespace keyward::tpm
