#include "keyctl/policy_signer.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "core/encoding.h"
#include "core/openssl_ptr.h"

namespace keyward::keyctl {
namespace {

using PkeyPtr = OsslPtr<EVP_PKEY, EVP_PKEY_free>;

Result<PkeyPtr> ReadPrivateKey(const std::string& file) {
  const OsslPtr<BIO, BIO_free> in(BIO_new_file(file.c_str(), "r"));
  if (!in) return Fail(ErrorCode::kInvalidArgument, "the key file cannot be read");
  PkeyPtr key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
  if (!key) {
    return Fail(ErrorCode::kInvalidArgument,
                "the key file holds no private key in PEM form, or the passphrase is wrong");
  }
  return key;
}

Result<PublicKey> PublicHalfOf(EVP_PKEY* key) {
  unsigned char* raw = nullptr;
  const int size = i2d_PUBKEY(key, &raw);
  const OsslPtr<unsigned char, [](unsigned char* p) { OPENSSL_free(p); }> der(raw);
  if (size <= 0) return Fail(ErrorCode::kInvalidArgument, "the key has no public half");
  return PublicKey::FromSpki({raw, static_cast<size_t>(size)});
}

Result<Bytes> Sign(EVP_PKEY* key, ByteView message) {
  const OsslPtr<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  Bytes signature(512);
  size_t size = signature.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1) {
    return Fail(ErrorCode::kIo, "the key does not sign");
  }
  signature.resize(size);
  return signature;
}

std::optional<uint32_t> ParseNumber(std::string_view text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Result<SignedPcrPolicy> SignPcrPolicy(const PcrValues& values, const std::string& key_file) {
  SignedPcrPolicy policy{};
  KEYWARD_ASSIGN(policy.digest, DigestOfPcrPolicy(values));
  for (const auto& [pcr, value] : values) policy.pcrs.insert(pcr);
  KEYWARD_ASSIGN(const PkeyPtr key, ReadPrivateKey(key_file));
  KEYWARD_ASSIGN(const PublicKey authority, PublicHalfOf(key.get()));
  if (authority.algorithm() != Algorithm::kEcdsaP256) {
    return Fail(ErrorCode::kInvalidArgument, "the authority's key is an ECDSA P-256 key");
  }
  KEYWARD_ASSIGN(policy.signature, Sign(key.get(), policy.digest));
  KEYWARD_TRY(VerifyPcrPolicy(policy, authority));
  return policy;
}

Result<PcrValues> ParsePcrValues(std::string_view text) {
  PcrValues values;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::ranges::replace(line, ':', ' ');
    std::istringstream words(line);
    std::string index;
    std::string hex;
    std::string rest;
    if (!(words >> index >> hex) || words >> rest) continue;
    const std::optional<uint32_t> pcr = ParseNumber(index);
    if (!pcr) continue;
    if (hex.starts_with("0x") || hex.starts_with("0X")) hex.erase(0, 2);
    const Result<Bytes> value = FromHex(hex);
    PcrValue digest{};
    if (*pcr >= kPcrCount || !value || value->size() != digest.size()) {
      return Fail(ErrorCode::kInvalidArgument,
                  "'" + line +
                      "' is not a PCR and its SHA-256 value; tpm2_pcrread sha256:7 prints "
                      "such lines");
    }
    std::ranges::copy(*value, digest.begin());
    if (!values.emplace(*pcr, digest).second) {
      return Fail(ErrorCode::kInvalidArgument, "PCR " + index + " stands twice");
    }
  }
  if (values.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "there is no line with a PCR and its value");
  }
  return values;
}

Result<PcrSelection> ParsePcrs(std::string_view list) {
  PcrSelection pcrs;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    const std::optional<uint32_t> pcr = ParseNumber(list.substr(0, comma));
    if (!pcr || *pcr >= kPcrCount) {
      return Fail(ErrorCode::kInvalidArgument, "PCRs are numbers from 0 to 23, such as 0,2,7");
    }
    pcrs.insert(*pcr);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return pcrs;
}

}  // namespace keyward::keyctl
