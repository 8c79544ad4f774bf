#include "tpm/blob.h"

#include <algorithm>
#include <string_view>

#include "core/encoding.h"
#include "tpm/templates.h"

namespace keyward::tpm {
namespace {

constexpr std::string_view kSealedMagic = "KWTS";
constexpr std::string_view kKeyMagic = "KWTK";
constexpr uint8_t kVersion = 1;

Result<void> WriteObject(Writer& out, const WrappedObject& object) {
  const Result<Bytes> area = Marshal(object.public_area.publicArea);
  if (!area) return Fail(ErrorCode::kInternal, "a TPM object that does not marshal");
  out.Field<uint16_t>(*area).Field<uint16_t>(
      {object.private_area.buffer, object.private_area.size});
  return {};
}

Result<WrappedObject> ReadObject(Reader& in) {
  KEYWARD_ASSIGN(const ByteView area, in.Field<uint16_t>());
  KEYWARD_ASSIGN(const ByteView wrapped, in.Field<uint16_t>());
  WrappedObject object{};
  KEYWARD_ASSIGN(object.public_area.publicArea, UnmarshalPublic(area));
  if (wrapped.empty() || wrapped.size() > sizeof(object.private_area.buffer)) {
    return Fail(ErrorCode::kMalformed, "a private area of an impossible size");
  }
  object.private_area.size = static_cast<uint16_t>(wrapped.size());
  std::ranges::copy(wrapped, object.private_area.buffer);
  return object;
}

Result<void> ReadHeader(Reader& in, std::string_view magic) {
  KEYWARD_ASSIGN(const ByteView found, in.Raw(magic.size()));
  KEYWARD_ASSIGN(const uint8_t version, in.Integer<uint8_t>());
  if (AsText(found) != magic) return Fail(ErrorCode::kMalformed, "not made by this kind of TPM");
  if (version != kVersion) return Fail(ErrorCode::kMalformed, "made by a newer Keyward");
  return {};
}

}  // namespace

Result<Bytes> EncodeSealedBlob(const WrappedObject& object) {
  Writer out;
  out.Raw(AsBytes(kSealedMagic)).Integer(kVersion);
  KEYWARD_TRY(WriteObject(out, object));
  return out.Take();
}

Result<WrappedObject> DecodeSealedBlob(ByteView blob) {
  Reader in(blob);
  KEYWARD_TRY(ReadHeader(in, kSealedMagic));
  KEYWARD_ASSIGN(WrappedObject object, ReadObject(in));
  KEYWARD_TRY(in.End());
  if (!IsMadeFrom(object.public_area.publicArea, SealedTemplate())) {
    return Fail(ErrorCode::kMalformed, "not a sealed object of Keyward's");
  }
  return object;
}

Result<Bytes> EncodeKeyReference(const KeyRecord& record) {
  Writer out;
  out.Raw(AsBytes(kKeyMagic)).Integer(kVersion).Raw(record.id);
  KEYWARD_TRY(WriteObject(out, record.key));
  out.Field<uint16_t>(record.auth_blob);
  return out.Take();
}

Result<KeyRecord> DecodeKeyReference(ByteView reference) {
  if (reference.size() > kMaxKeyReference) return Fail(ErrorCode::kMalformed, "too long");
  Reader in(reference);
  KEYWARD_TRY(ReadHeader(in, kKeyMagic));
  KeyRecord record{};
  KEYWARD_ASSIGN(const ByteView id, in.Raw(record.id.size()));
  std::ranges::copy(id, record.id.begin());
  KEYWARD_ASSIGN(record.key, ReadObject(in));
  KEYWARD_ASSIGN(const ByteView auth_blob, in.Field<uint16_t>());
  KEYWARD_TRY(in.End());
  record.auth_blob = ToBytes(auth_blob);
  KEYWARD_TRY(SigningAlgorithmOf(record.key.public_area.publicArea));
  return record;
}

}  // namespace keyward::tpm
