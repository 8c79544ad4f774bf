// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), fast for long messages.
#pragma once

#include <openssl/evp.h>

#include "core/openssl_ptr.h"
#include "core/secret_bytes.h"

namespace keyward::session {

inline constexpr size_t kXChaChaKeySize = 32;
inline constexpr size_t kXChaChaNonceSize = 24;
inline constexpr size_t kXChaChaTagSize = 16;

// One key. Short messages go to libsodium; long ones to HChaCha20 and OpenSSL's ChaCha20-Poly1305,
// which makes the same bytes more than twice as fast. One thread at a time.
class XChaCha {
 public:
  // `key`: 32 bytes. Errors: kInvalidArgument, kResourceExhausted.
  static Result<XChaCha> Create(SecretBytes key);

  // Writes plaintext.size() + 16 bytes to `out`. Errors: kInternal.
  Result<void> Seal(ByteView nonce, ByteView associated, ByteView plaintext, MutableBytes out);
  // Writes sealed.size() - 16 bytes to `out`, which is wiped when the tag is wrong. Errors:
  // kAuthenticationFailed.
  Result<void> Open(ByteView nonce, ByteView associated, ByteView sealed, MutableBytes out);

  const SecretBytes& key() const { return key_; }

  // Where the two ways meet; both are open to tests.
  Result<void> SealWithOpenssl(ByteView nonce, ByteView associated, ByteView plaintext,
                               MutableBytes out);
  Result<void> OpenWithOpenssl(ByteView nonce, ByteView associated, ByteView sealed,
                               MutableBytes out);

 private:
  using Context = OsslPtr<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

  XChaCha(SecretBytes key, SecretBytes subkey, Context context)
      : key_(std::move(key)), subkey_(std::move(subkey)), context_(std::move(context)) {}

  // The subkey and the 12-byte nonce of one message.
  Result<void> Begin(ByteView nonce, ByteView associated, bool encrypt);
  // OpenSSL's context must not keep a message's key until the next one.
  void ForgetMessageKey();

  SecretBytes key_;
  SecretBytes subkey_;
  Context context_;
};

}  // namespace keyward::session
