// What the disk keeps of a master key that the TPM holds: which index it is in, who may open it,
// and how to know the right key.
//
//   "KWTM" u8 version(1) | name of the NV index (34) | u16 length, SPKI of the authority | MAC (32)
//
// Big-endian; nothing may follow. No secret: the MAC is HMAC-SHA256 under the master key, which has
// 256 random bits, over a label, the id that the key was sealed under, and all that stands before
// it. So not a bit of the record can be changed, and no other key passes for the one it was made
// with.
#pragma once

#include <array>

#include "core/bytes.h"
#include "core/key_id.h"
#include "core/public_key.h"
#include "core/result.h"
#include "core/secret_bytes.h"

namespace keyward::tpm {

struct MasterRecord {
  Bytes index_name;
  PublicKey authority;
  std::array<uint8_t, 32> mac;
};

// `master` has kMasterKeySize bytes. Errors: kInternal.
Result<Bytes> EncodeMasterRecord(const KeyId& id, ByteView index_name, const PublicKey& authority,
                                 const SecretBytes& master);

// Takes bytes from anywhere; the MAC is not checked yet. Errors: kMalformed.
Result<MasterRecord> DecodeMasterRecord(ByteView record);

// `record` is one that was decoded. Errors: kAuthenticationFailed (it was changed, or `master` is
// another key), kInternal.
Result<void> CheckMasterRecord(const KeyId& id, ByteView record, const SecretBytes& master);

}  // namespace keyward::tpm
