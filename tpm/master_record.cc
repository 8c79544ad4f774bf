#include "tpm/master_record.h"

#include <sodium.h>

#include <algorithm>

#include "core/encoding.h"
#include "core/master_sealer.h"
#include "tpm/sensitive.h"

namespace keyward::tpm {
namespace {

constexpr std::string_view kMagic = "KWTM";
constexpr uint8_t kVersion = 1;
constexpr size_t kNameSize = 34;
constexpr std::string_view kMacLabel = "keyward.tpm.master-record.1";

using Mac = std::array<uint8_t, crypto_auth_hmacsha256_BYTES>;

Result<Mac> MacOf(const KeyId& id, ByteView covered, const SecretBytes& master) {
  Wiped<crypto_auth_hmacsha256_state> state;
  const auto add = [&state](ByteView bytes) {
    return crypto_auth_hmacsha256_update(&*state, bytes.data(), bytes.size()) == 0;
  };
  Mac mac{};
  if (crypto_auth_hmacsha256_init(&*state, master.RevealSecret().data(), master.size()) == 0 &&
      add(AsBytes(kMacLabel)) && add(id) && add(covered) &&
      crypto_auth_hmacsha256_final(&*state, mac.data()) == 0) {
    return mac;
  }
  return Fail(ErrorCode::kInternal, "the MAC of the master key's record could not be made");
}

}  // namespace

Result<Bytes> EncodeMasterRecord(const KeyId& id, ByteView index_name, const PublicKey& authority,
                                 const SecretBytes& master) {
  Bytes record = Writer()
                     .Raw(AsBytes(kMagic))
                     .Integer(kVersion)
                     .Raw(index_name)
                     .Field<uint16_t>(authority.spki())
                     .Take();
  KEYWARD_ASSIGN(const Mac mac, MacOf(id, record, master));
  Append(record, mac);
  return record;
}

Result<MasterRecord> DecodeMasterRecord(ByteView record) {
  if (record.size() > kMaxMasterRecord) return Fail(ErrorCode::kMalformed, "too long");
  Reader in(record);
  KEYWARD_ASSIGN(const ByteView magic, in.Raw(kMagic.size()));
  KEYWARD_ASSIGN(const uint8_t version, in.Integer<uint8_t>());
  if (AsText(magic) != kMagic) {
    return Fail(ErrorCode::kMalformed, "not the record of a master key in a TPM");
  }
  if (version != kVersion) return Fail(ErrorCode::kMalformed, "made by a newer Keyward");
  KEYWARD_ASSIGN(const ByteView index_name, in.Raw(kNameSize));
  KEYWARD_ASSIGN(const ByteView spki, in.Field<uint16_t>());
  KEYWARD_ASSIGN(const ByteView mac, in.Raw(sizeof(Mac)));
  KEYWARD_TRY(in.End());
  KEYWARD_ASSIGN(PublicKey authority, PublicKey::FromSpki(spki));
  MasterRecord parsed{ToBytes(index_name), std::move(authority), {}};
  std::ranges::copy(mac, parsed.mac.begin());
  return parsed;
}

Result<void> CheckMasterRecord(const KeyId& id, ByteView record, const SecretBytes& master) {
  const ByteView covered = record.first(record.size() - sizeof(Mac));
  KEYWARD_ASSIGN(const Mac mac, MacOf(id, covered, master));
  if (sodium_memcmp(mac.data(), record.last(sizeof(Mac)).data(), sizeof(Mac)) != 0) {
    return Fail(ErrorCode::kAuthenticationFailed,
                "the record of the master key was changed, or is not of the key in the TPM");
  }
  return {};
}

}  // namespace keyward::tpm
