#include "keyd/backup/recovery_key.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace keyward::backup {
namespace {

constexpr int kMinRsaBits = 2048;
constexpr std::array<std::string_view, 3> kGroups = {SN_X9_62_prime256v1, SN_secp384r1,
                                                     SN_secp521r1};

using BioPtr = OsslPtr<BIO, BIO_free>;

BioPtr BioOf(ByteView text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// What OpenSSL asks for a passphrase, so that it never asks at the terminal.
int GivePassphrase(char* buffer, int size, int /*for_writing*/, void* passphrase) {
  const ByteView given = static_cast<const SecretBytes*>(passphrase)->RevealSecret();
  if (given.empty() || given.size() > static_cast<size_t>(size)) return -1;
  std::ranges::copy(given, buffer);
  return static_cast<int>(given.size());
}
int HaveNoPassphrase(char* /*buffer*/, int /*size*/, int /*for_writing*/, void* /*unused*/) {
  return -1;
}

bool IsOnGoodCurve(const EVP_PKEY* key) {
  std::array<char, 64> group{};
  return EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1 &&
         std::ranges::find(kGroups, std::string_view(group.data())) != kGroups.end();
}

std::unexpected<Error> NoCertificate() {
  return Fail(ErrorCode::kMalformed,
              "a recovery certificate is an X.509 certificate in PEM form; at most 16 of them");
}

}  // namespace

Result<std::vector<RecoveryCertificate>> RecoveryCertificate::FromPem(ByteView text) {
  const BioPtr in = BioOf(text);
  std::vector<RecoveryCertificate> certificates;
  while (in != nullptr) {
    X509Ptr x509(PEM_read_bio_X509(in.get(), nullptr, HaveNoPassphrase, nullptr));
    if (x509 == nullptr) break;
    if (certificates.size() == kMaxCertificates) return NoCertificate();
    RecoveryCertificate certificate(std::move(x509));
    KEYWARD_TRY(certificate.CheckKey());
    KEYWARD_TRY(certificate.CheckTime());
    certificates.push_back(std::move(certificate));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (certificates.empty() || !at_end) return NoCertificate();
  return certificates;
}

bool RecoveryCertificate::IsRsa() const {
  return EVP_PKEY_is_a(X509_get0_pubkey(x509_.get()), "RSA") == 1;
}

Result<void> RecoveryCertificate::CheckKey() const {
  const EVP_PKEY* key = X509_get0_pubkey(x509_.get());
  const bool good_rsa = IsRsa() && EVP_PKEY_get_bits(key) >= kMinRsaBits;
  if (key == nullptr || (!good_rsa && !IsOnGoodCurve(key))) {
    return Fail(ErrorCode::kNotSupported,
                "a recovery key is RSA of 2048 bits or more, or EC on P-256, P-384 or P-521");
  }
  const uint32_t needed = IsRsa() ? KU_KEY_ENCIPHERMENT : KU_KEY_AGREEMENT;
  if ((X509_get_key_usage(x509_.get()) & needed) != 0) return {};
  return Fail(ErrorCode::kNotSupported,
              IsRsa() ? "the certificate's key usage does not include keyEncipherment"
                      : "the certificate's key usage does not include keyAgreement");
}

Result<void> RecoveryCertificate::CheckTime() const {
  if (X509_cmp_current_time(X509_get0_notBefore(x509_.get())) < 0 &&
      X509_cmp_current_time(X509_get0_notAfter(x509_.get())) > 0) {
    return {};
  }
  return Fail(ErrorCode::kExpired, "the recovery certificate '" + Subject() +
                                       "' has expired or is not valid yet: make a new one");
}

std::string RecoveryCertificate::Subject() const {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out ||
      X509_NAME_print_ex(out.get(), X509_get_subject_name(x509_.get()), 0, XN_FLAG_RFC2253) < 0) {
    return {};
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<size_t>(size)};
}

Bytes RecoveryCertificate::Fingerprint() const {
  Bytes digest(EVP_MAX_MD_SIZE);
  unsigned int size = 0;
  if (X509_digest(x509_.get(), EVP_sha256(), digest.data(), &size) != 1) return {};
  digest.resize(size);
  return digest;
}

Result<RecoveryKey> RecoveryKey::FromPem(const SecretBytes& text, const SecretBytes& passphrase) {
  const BioPtr in = BioOf(text.RevealSecret());
  // OpenSSL hands the pointer on to GivePassphrase alone.
  auto* const given = const_cast<SecretBytes*>(&passphrase);
  PkeyPtr key(in ? PEM_read_bio_PrivateKey(in.get(), nullptr, GivePassphrase, given) : nullptr);
  ERR_clear_error();
  if (key && (EVP_PKEY_is_a(key.get(), "RSA") == 1 || EVP_PKEY_is_a(key.get(), "EC") == 1)) {
    return RecoveryKey(std::move(key));
  }
  return Fail(ErrorCode::kInvalidArgument,
              "the recovery key's file holds no RSA or EC private key in PEM form, or it is "
              "encrypted and the passphrase is missing or another one");
}

}  // namespace keyward::backup
