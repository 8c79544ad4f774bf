// An authority of PCR policies, with its private key in software.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/openssl_ptr.h"
#include "core/pcr_policy.h"

namespace keyward::tpm {

class PolicySigner {
 public:
  // `curve` as OpenSSL names it.
  explicit PolicySigner(const char* curve = "P-256")
      : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve)) {}

  Result<PublicKey> public_key() const {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key_.get(), &der);
    if (size <= 0) return Fail(ErrorCode::kInternal, "i2d_PUBKEY");
    const Bytes spki(der, der + size);
    OPENSSL_free(der);
    return PublicKey::FromSpki(spki);
  }

  Result<SignedPcrPolicy> Sign(const PcrValues& values) const {
    SignedPcrPolicy policy{};
    for (const auto& [pcr, value] : values) policy.pcrs.insert(pcr);
    KEYWARD_ASSIGN(policy.digest, DigestOfPcrPolicy(values));
    const OsslPtr<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
    size_t size = 256;
    policy.signature.resize(size);
    if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), policy.signature.data(), &size, policy.digest.data(),
                       policy.digest.size()) != 1) {
      return Fail(ErrorCode::kInternal, "EVP_DigestSign");
    }
    policy.signature.resize(size);
    return policy;
  }

 private:
  OsslPtr<EVP_PKEY, EVP_PKEY_free> key_;
};

}  // namespace keyward::tpm
