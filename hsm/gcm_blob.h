// What AES-256-GCM under a key of the token makes of a secret.
#pragma once

#include "core/rng.h"
#include "core/secret_bytes.h"
#include "core/signer.h"
#include "hsm/session.h"

namespace keyward::hsm {

struct TokenKey {
  KeyId id;
  CK_OBJECT_HANDLE handle;
};

// As bytes: version (1 byte, 01) | CKA_ID of the key (16) | nonce (12, random) | ciphertext |
// tag (16). Associated data: version | CKA_ID | context.
struct GcmBlob {
  KeyId key;
  ByteView nonce;
  ByteView sealed;  // ciphertext and tag
};

// Views into `blob`. Errors: kMalformed, also for a secret that is empty or over `max_secret`
// bytes.
Result<GcmBlob> ParseGcmBlob(ByteView blob, size_t max_secret);

// Errors of both: those of Session.

// Errors: kNotSupported (a token with another kind of GCM).
Result<Bytes> SealWithGcm(const Session& session, const TokenKey& key, const SecretBytes& secret,
                          ByteView context, Rng& rng);
// Errors: kAuthenticationFailed, kResourceExhausted.
Result<SecretBytes> OpenWithGcm(const Session& session, CK_OBJECT_HANDLE key, const GcmBlob& blob,
                                ByteView context);

}  // namespace keyward::hsm
