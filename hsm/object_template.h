// Attribute templates that own their values.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "core/algorithm.h"
#include "core/result.h"
#include "core/signer.h"
#include "hsm/pkcs11.h"

namespace keyward::hsm {

// Move-only: a copy's attributes would point to the values of the original.
class ObjectTemplate {
 public:
  ObjectTemplate() = default;
  ObjectTemplate(ObjectTemplate&&) noexcept = default;
  ObjectTemplate& operator=(ObjectTemplate&&) noexcept = default;
  ObjectTemplate(const ObjectTemplate&) = delete;
  ObjectTemplate& operator=(const ObjectTemplate&) = delete;

  ObjectTemplate& Add(CK_ATTRIBUTE_TYPE type, ByteView value);
  ObjectTemplate& AddFlag(CK_ATTRIBUTE_TYPE type, bool value);
  ObjectTemplate& AddNumber(CK_ATTRIBUTE_TYPE type, CK_ULONG value);

  // Valid until the next Add or the end of the template.
  std::span<CK_ATTRIBUTE> attributes() { return attributes_; }

 private:
  std::deque<Bytes> values_;  // keeps its elements in place as it grows and moves
  std::vector<CK_ATTRIBUTE> attributes_;
};

// DER OBJECT IDENTIFIER of the algorithm's curve (RFC 5480, RFC 8410), as CKA_EC_PARAMS takes it.
// Empty for an algorithm without a curve.
ByteView CurveOf(Algorithm algorithm);
// The reverse, which also knows the curve's name as SoftHSM stores it for private halves: the other
// choice of PKCS#11 3.0, 6.3.3. Errors: kDataCorrupt for another curve.
Result<Algorithm> AlgorithmOfCurve(ByteView ec_params);

// Everything that is made is a token object whose private half is CKA_PRIVATE, CKA_SENSITIVE and
// not CKA_EXTRACTABLE; CKA_ID is the key's id and CKA_LABEL "keyward:<id in hex>".
ObjectTemplate PublicHalf(Algorithm algorithm, const KeyId& id);
ObjectTemplate PrivateHalf(const KeyId& id);
// AES-256, to encrypt and decrypt only; CKA_LABEL is "keyward:wrapping" and "keyward:master".
ObjectTemplate NewWrappingKey(const KeyId& id);
ObjectTemplate NewMasterKey(const KeyId& id);
// A private data object; see hsm_counter.h.
ObjectTemplate NewCounterValue(const KeyId& id, ByteView value);

// To find what the above made, whole or not.
ObjectTemplate FindById(CK_OBJECT_CLASS object_class, const KeyId& id);
ObjectTemplate FindMasterKeyWholeOrNot(const KeyId& id);
// To find what C_GenerateKey was killed over: it has no value yet, and is not CKA_LOCAL.
ObjectTemplate FindHalfMadeWrappingKeys();
// To find what the above made and nobody else can have: PKCS#11 lets everyone put public objects on
// a token without a login, with the label and id of another; and what C_GenerateKey was killed over
// is not CKA_LOCAL yet.
ObjectTemplate FindSigningKey(const KeyId& id);
ObjectTemplate FindWrappingKeys();
ObjectTemplate FindMasterKey(const KeyId& id);
ObjectTemplate FindCounterValues(const KeyId& id);

}  // namespace keyward::hsm
