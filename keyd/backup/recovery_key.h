// The two halves of a recovery key: certificates that backups are made for, and the private key
// that opens them, which stays away from the service until it is needed.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/openssl_ptr.h"
#include "core/result.h"
#include "core/secret_bytes.h"

namespace keyward::backup {

inline constexpr size_t kMaxCertificates = 16;
inline constexpr size_t kMaxRecoveryKeyFile = size_t{32} * 1024;  // bytes
inline constexpr size_t kMaxPassphrase = 1024;                    // bytes

// Immutable.
class RecoveryCertificate {
 public:
  // All certificates in a text of PEM blocks (RFC 7468): RSA of 2048 bits and more, or EC on P-256,
  // P-384 or P-521, for encipherment and within their time. Errors: kMalformed (no certificate, or
  // more than kMaxCertificates), kNotSupported (another kind of key, or one for another use),
  // kExpired.
  static Result<std::vector<RecoveryCertificate>> FromPem(ByteView text);

  // RFC 2253
  std::string Subject() const;
  // SHA-256 of the certificate.
  Bytes Fingerprint() const;
  bool IsRsa() const;
  X509* get() const { return x509_.get(); }

 private:
  using X509Ptr = OsslPtr<X509, X509_free>;
  explicit RecoveryCertificate(X509Ptr x509) : x509_(std::move(x509)) {}
  Result<void> CheckKey() const;
  Result<void> CheckTime() const;

  X509Ptr x509_;
};

// OpenSSL's copy of it is overwritten at the end.
class RecoveryKey {
 public:
  // The first private key in a PEM text, which may be encrypted. Errors: kInvalidArgument (no RSA
  // or EC key, or another passphrase than `passphrase`, which may be empty).
  static Result<RecoveryKey> FromPem(const SecretBytes& text, const SecretBytes& passphrase);

  bool IsRsa() const { return EVP_PKEY_is_a(key_.get(), "RSA") == 1; }
  EVP_PKEY* get() const { return key_.get(); }

 private:
  using PkeyPtr = OsslPtr<EVP_PKEY, EVP_PKEY_free>;
  explicit RecoveryKey(PkeyPtr key) : key_(std::move(key)) {}

  PkeyPtr key_;
};

}  // namespace keyward::backup
