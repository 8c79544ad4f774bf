#include "keyd/master_record.h"

#include <algorithm>

#include "core/encoding.h"
#include "core/file.h"

namespace keyward {
namespace {

constexpr std::string_view kMagic = "KWMK";
constexpr uint8_t kVersion = 1;
constexpr size_t kCheckSize = 32;

std::unexpected<Error> Damaged(std::string cause) {
  return Fail(Error(ErrorCode::kDataCorrupt,
                    "the file master-key in the state directory is damaged: restore a backup")
                  .WithAction(Action::kProvision)
                  .WithCause(std::move(cause)));
}

Result<KeyId> ReadId(Reader& in) {
  KeyId id{};
  KEYWARD_ASSIGN(const ByteView bytes, in.Raw(id.size()));
  std::ranges::copy(bytes, id.begin());
  return id;
}

Result<MasterRecord> Parse(ByteView bytes) {
  Reader in(bytes);
  KEYWARD_ASSIGN(const ByteView magic, in.Raw(kMagic.size()));
  KEYWARD_ASSIGN(const uint8_t version, in.Integer<uint8_t>());
  if (AsText(magic) != kMagic || version != kVersion) {
    return Fail(ErrorCode::kMalformed, "not a master-key file of this version");
  }
  MasterRecord record{};
  KEYWARD_ASSIGN(const ByteView custodian, in.Field<uint8_t>());
  record.custodian = AsText(custodian);
  KEYWARD_ASSIGN(record.seal, ReadId(in));
  KEYWARD_ASSIGN(record.counter, ReadId(in));
  KEYWARD_ASSIGN(const ByteView check, in.Raw(kCheckSize));
  record.check = ToBytes(check);
  KEYWARD_ASSIGN(const ByteView authority, in.Field<uint16_t>());
  record.authority = ToBytes(authority);
  KEYWARD_ASSIGN(const ByteView sealed, in.Field<uint16_t>());
  record.record = ToBytes(sealed);
  KEYWARD_TRY(in.End());
  if (record.custodian != "hsm" && record.custodian != "tpm") {
    return Fail(ErrorCode::kMalformed, "an unknown custodian");
  }
  return record;
}

}  // namespace

HardwareParts PartsOf(const MasterRecord& record) {
  return {record.custodian, record.seal, record.counter};
}

bool NamesAnyOf(const HardwareParts& parts, const std::set<KeyId>& ids) {
  return ids.contains(parts.seal) || ids.contains(parts.counter);
}

Bytes BindingOf(const MasterRecord& record) {
  return Writer()
      .Field<uint8_t>(AsBytes(record.custodian))
      .Raw(record.seal)
      .Raw(record.counter)
      .Raw(record.authority)
      .Take();
}

Bytes Encode(const MasterRecord& record) {
  return Writer()
      .Raw(AsBytes(kMagic))
      .Integer(kVersion)
      .Field<uint8_t>(AsBytes(record.custodian))
      .Raw(record.seal)
      .Raw(record.counter)
      .Raw(record.check)
      .Field<uint16_t>(record.authority)
      .Field<uint16_t>(record.record)
      .Take();
}

Result<MasterRecord> DecodeMasterRecord(ByteView bytes) {
  Result<MasterRecord> record = Parse(bytes);
  if (!record) return Damaged(record.error().message());
  return record;
}

Result<std::optional<MasterRecord>> ReadMasterRecord(const std::filesystem::path& file) {
  Result<std::optional<Bytes>> contents = ReadFile(file, kMaxMasterFile);
  if (!contents && contents.error().code() == ErrorCode::kTooLarge) return Damaged("too large");
  if (!contents) return Fail(contents.error());
  if (!*contents) return std::nullopt;
  return DecodeMasterRecord(**contents);
}

}  // namespace keyward
