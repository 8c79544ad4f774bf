// Recovery keys of a test's own: a private key and a certificate for it.
#pragma once

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <string>
#include <vector>

#include "keyd/backup/recovery_key.h"

namespace keyward::testing_support {

class RecoveryPair {
 public:
  static RecoveryPair Ec() {
    return RecoveryPair(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  }
  static RecoveryPair Rsa(unsigned int bits = 2048) { return RecoveryPair(EVP_RSA_gen(bits)); }
  static RecoveryPair Ed25519() {
    return RecoveryPair(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  }

  // Valid from `begin` to `end`, seconds from now.
  std::string CertificatePem(long begin = -60, long end = 3600) const {
    const OsslPtr<X509, X509_free> x509(X509_new());
    X509_set_version(x509.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 4711);
    X509_gmtime_adj(X509_getm_notBefore(x509.get()), begin);
    X509_gmtime_adj(X509_getm_notAfter(x509.get()), end);
    X509_set_pubkey(x509.get(), key_.get());
    X509_NAME* name = X509_get_subject_name(x509.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("recovery"), -1, -1, 0);
    X509_set_issuer_name(x509.get(), name);
    const bool edwards = EVP_PKEY_is_a(key_.get(), "ED25519") == 1;
    X509_sign(x509.get(), key_.get(), edwards ? nullptr : EVP_sha256());
    return Text([&](BIO* out) { PEM_write_bio_X509(out, x509.get()); });
  }
  // Encrypted where there is a passphrase.
  std::string KeyPem(const std::string& passphrase = {}) const {
    return Text([&](BIO* out) {
      PEM_write_bio_PKCS8PrivateKey(
          out, key_.get(), passphrase.empty() ? nullptr : EVP_aes_256_cbc(), passphrase.data(),
          static_cast<int>(passphrase.size()), nullptr, nullptr);
    });
  }
  backup::RecoveryKey Key() const {
    return backup::RecoveryKey::FromPem(SecretBytes::CopyOf(AsBytes(KeyPem())).value(), {}).value();
  }
  std::vector<backup::RecoveryCertificate> Certificates() const {
    return backup::RecoveryCertificate::FromPem(AsBytes(CertificatePem())).value();
  }

 private:
  explicit RecoveryPair(EVP_PKEY* key) : key_(key) {}
  static std::string Text(const auto& write) {
    const OsslPtr<BIO, BIO_free> out(BIO_new(BIO_s_mem()));
    write(out.get());
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<size_t>(size)};
  }

  OsslPtr<EVP_PKEY, EVP_PKEY_free> key_;
};

}  // namespace keyward::testing_support
