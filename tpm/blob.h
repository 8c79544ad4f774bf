// The two kinds of bytes that we hand out, and how they are read back.
//
// A wrapped object is the TPM's own pair: u16 length and TPMT_PUBLIC, u16 length and the contents
// of TPM2B_PRIVATE, encrypted and authenticated under a key that only the storage primary has.
//
//   sealed blob    "KWTS" u8 version(1) | wrapped object
//   key reference  "KWTK" u8 version(1) | key id (16) | wrapped signing key | u16 length, auth blob
//
// All integers are big-endian; nothing may follow. The largest reference (RSA-2048) has 742
// bytes. Both parsers take bytes from anywhere: they accept only public areas that are exactly what
// our templates give, so that no object of another making is ever loaded.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "core/algorithm.h"
#include "core/bytes.h"
#include "core/result.h"
#include "core/signer.h"

namespace keyward::tpm {

struct WrappedObject {
  TPM2B_PUBLIC public_area;
  TPM2B_PRIVATE private_area;
};

// Errors: kInternal (an object that does not marshal).
Result<Bytes> EncodeSealedBlob(const WrappedObject& object);
// Errors: kMalformed.
Result<WrappedObject> DecodeSealedBlob(ByteView blob);

struct KeyRecord {
  KeyId id;
  WrappedObject key;
  Bytes auth_blob;  // the key's authorization value, sealed; see tpm_signer.h
};

// Errors: kInternal.
Result<Bytes> EncodeKeyReference(const KeyRecord& record);
// Errors: kMalformed.
Result<KeyRecord> DecodeKeyReference(ByteView reference);

}  // namespace keyward::tpm
