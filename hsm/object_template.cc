#include "hsm/object_template.h"

#include <algorithm>
#include <array>
#include <string>

#include "core/encoding.h"

namespace keyward::hsm {
namespace {

constexpr std::string_view kWrappingLabel = "keyward:wrapping";
constexpr std::string_view kMasterLabel = "keyward:master";

constexpr std::array<uint8_t, 5> kEd25519Oid = {0x06, 0x03, 0x2B, 0x65, 0x70};
constexpr std::array<uint8_t, 10> kP256Oid = {0x06, 0x08, 0x2A, 0x86, 0x48,
                                              0xCE, 0x3D, 0x03, 0x01, 0x07};
constexpr std::array<uint8_t, 7> kP384Oid = {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22};

// PrintableString "edwards25519"
constexpr std::array<uint8_t, 14> kEd25519Name = {0x13, 0x0C, 'e', 'd', 'w', 'a', 'r',
                                                  'd',  's',  '2', '5', '5', '1', '9'};

template <class T>
ByteView BytesOf(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof(value)};
}

std::string LabelOf(const KeyId& id) { return "keyward:" + ToHex(id); }

// What every secret object of Keyward's has in common.
ObjectTemplate NewSecret(const KeyId& id, std::string_view label) {
  ObjectTemplate made;
  made.AddFlag(CKA_TOKEN, true)
      .AddFlag(CKA_PRIVATE, true)
      .AddFlag(CKA_SENSITIVE, true)
      .AddFlag(CKA_EXTRACTABLE, false)
      .Add(CKA_ID, id)
      .Add(CKA_LABEL, AsBytes(label));
  return made;
}

// Says no to every other use as well: SoftHSM would say yes.
ObjectTemplate NewAesKey(const KeyId& id, std::string_view label) {
  ObjectTemplate made = NewSecret(id, label);
  made.AddNumber(CKA_CLASS, CKO_SECRET_KEY)
      .AddNumber(CKA_KEY_TYPE, CKK_AES)
      .AddFlag(CKA_ENCRYPT, true)
      .AddFlag(CKA_DECRYPT, true)
      .AddFlag(CKA_WRAP, false)
      .AddFlag(CKA_UNWRAP, false)
      .AddFlag(CKA_SIGN, false)
      .AddFlag(CKA_VERIFY, false)
      .AddFlag(CKA_DERIVE, false)
      .AddNumber(CKA_VALUE_LEN, 32);
  return made;
}

ObjectTemplate FindAesKeys(std::string_view label) {
  ObjectTemplate wanted;
  wanted.AddNumber(CKA_CLASS, CKO_SECRET_KEY)
      .AddNumber(CKA_KEY_TYPE, CKK_AES)
      .AddFlag(CKA_PRIVATE, true)
      .AddFlag(CKA_LOCAL, true)
      .AddFlag(CKA_ALWAYS_SENSITIVE, true)
      .AddFlag(CKA_NEVER_EXTRACTABLE, true)
      .Add(CKA_LABEL, AsBytes(label));
  return wanted;
}

// What tells a counter's values from everything else.
ObjectTemplate CounterValue(const KeyId& id) {
  ObjectTemplate value;
  value.AddNumber(CKA_CLASS, CKO_DATA)
      .AddFlag(CKA_TOKEN, true)
      .AddFlag(CKA_PRIVATE, true)
      .Add(CKA_APPLICATION, AsBytes("keyward"))
      .Add(CKA_LABEL, AsBytes("keyward:counter:" + ToHex(id)));
  return value;
}

}  // namespace

ObjectTemplate& ObjectTemplate::Add(CK_ATTRIBUTE_TYPE type, ByteView value) {
  Bytes& owned = values_.emplace_back(ToBytes(value));
  attributes_.push_back({type, owned.data(), owned.size()});
  return *this;
}

ObjectTemplate& ObjectTemplate::AddFlag(CK_ATTRIBUTE_TYPE type, bool value) {
  const CK_BBOOL flag = value ? CK_TRUE : CK_FALSE;
  return Add(type, BytesOf(flag));
}

ObjectTemplate& ObjectTemplate::AddNumber(CK_ATTRIBUTE_TYPE type, CK_ULONG value) {
  return Add(type, BytesOf(value));
}

ByteView CurveOf(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kEd25519:
      return kEd25519Oid;
    case Algorithm::kEcdsaP256:
      return kP256Oid;
    case Algorithm::kEcdsaP384:
      return kP384Oid;
    case Algorithm::kRsaPss2048:
      return {};
  }
  return {};
}

Result<Algorithm> AlgorithmOfCurve(ByteView ec_params) {
  if (std::ranges::equal(ec_params, kEd25519Name)) return Algorithm::kEd25519;
  for (const Algorithm algorithm :
       {Algorithm::kEd25519, Algorithm::kEcdsaP256, Algorithm::kEcdsaP384}) {
    if (std::ranges::equal(ec_params, CurveOf(algorithm))) return algorithm;
  }
  return Fail(ErrorCode::kDataCorrupt, "the HSM token holds a key of another kind under this name");
}

ObjectTemplate PublicHalf(Algorithm algorithm, const KeyId& id) {
  ObjectTemplate made;
  made.AddFlag(CKA_TOKEN, true)
      .AddFlag(CKA_PRIVATE, false)
      .AddFlag(CKA_VERIFY, true)
      .Add(CKA_EC_PARAMS, CurveOf(algorithm))
      .Add(CKA_ID, id)
      .Add(CKA_LABEL, AsBytes(LabelOf(id)));
  return made;
}

ObjectTemplate PrivateHalf(const KeyId& id) {
  ObjectTemplate made = NewSecret(id, LabelOf(id));
  made.AddFlag(CKA_SIGN, true);
  return made;
}

ObjectTemplate NewWrappingKey(const KeyId& id) { return NewAesKey(id, kWrappingLabel); }

ObjectTemplate NewMasterKey(const KeyId& id) { return NewAesKey(id, kMasterLabel); }

ObjectTemplate NewCounterValue(const KeyId& id, ByteView value) {
  ObjectTemplate made = CounterValue(id);
  made.Add(CKA_VALUE, value);
  return made;
}

ObjectTemplate FindById(CK_OBJECT_CLASS object_class, const KeyId& id) {
  ObjectTemplate wanted;
  wanted.AddNumber(CKA_CLASS, object_class).Add(CKA_ID, id);
  return wanted;
}

ObjectTemplate FindSigningKey(const KeyId& id) {
  ObjectTemplate wanted = FindById(CKO_PRIVATE_KEY, id);
  wanted.AddFlag(CKA_PRIVATE, true);
  return wanted;
}

ObjectTemplate FindMasterKeyWholeOrNot(const KeyId& id) {
  ObjectTemplate wanted = FindById(CKO_SECRET_KEY, id);
  wanted.Add(CKA_LABEL, AsBytes(kMasterLabel));
  return wanted;
}

ObjectTemplate FindHalfMadeWrappingKeys() {
  ObjectTemplate wanted;
  wanted.AddNumber(CKA_CLASS, CKO_SECRET_KEY)
      .AddFlag(CKA_PRIVATE, true)
      .AddFlag(CKA_LOCAL, false)
      .Add(CKA_LABEL, AsBytes(kWrappingLabel));
  return wanted;
}

ObjectTemplate FindWrappingKeys() { return FindAesKeys(kWrappingLabel); }

ObjectTemplate FindMasterKey(const KeyId& id) {
  ObjectTemplate wanted = FindAesKeys(kMasterLabel);
  wanted.Add(CKA_ID, id);
  return wanted;
}

ObjectTemplate FindCounterValues(const KeyId& id) { return CounterValue(id); }

}  // namespace keyward::hsm
