#include "hsm/ec_point.h"

namespace keyward::hsm {
namespace {

constexpr uint8_t kOctetString = 0x04;
constexpr size_t kMaxShortLength = 0x7F;

}  // namespace

Result<PublicKey> PublicKeyOfPoint(Algorithm algorithm, ByteView attribute) {
  const auto make = [algorithm](ByteView point) {
    return algorithm == Algorithm::kEd25519 ? PublicKey::FromEd25519(point)
                                            : PublicKey::FromEcPoint(algorithm, point);
  };
  // A bare point of 65 or 97 bytes starts with 04 as well, but then its second byte, part of a
  // coordinate, would have to be its size less two; and it would not do as a point without them.
  if (attribute.size() > 2 && attribute[0] == kOctetString && attribute[1] <= kMaxShortLength &&
      attribute[1] == attribute.size() - 2) {
    if (Result<PublicKey> key = make(attribute.subspan(2))) return key;
  }
  return make(attribute);
}

}  // namespace keyward::hsm
