// CKA_EC_POINT, of which modules disagree.
#pragma once

#include "core/public_key.h"

namespace keyward::hsm {

// `attribute` is the public point as a DER OCTET STRING, as PKCS#11 2.40 (2.3.3) has it, or bare,
// as some modules give it: SEC1 uncompressed, or the 32 bytes of an Ed25519 key. Errors:
// kMalformed.
Result<PublicKey> PublicKeyOfPoint(Algorithm algorithm, ByteView attribute);

}  // namespace keyward::hsm
