#include "core/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/openssl_ptr.h"

namespace keyward {
namespace {

using PkeyPtr = OsslPtr<EVP_PKEY, EVP_PKEY_free>;
using PkeyCtxPtr = OsslPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using MdCtxPtr = OsslPtr<EVP_MD_CTX, EVP_MD_CTX_free>;
using BnPtr = OsslPtr<BIGNUM, BN_free>;
using ParamBuilderPtr = OsslPtr<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using ParamsPtr = OsslPtr<OSSL_PARAM, OSSL_PARAM_free>;

template <class T>
void FreeOpenssl(T* memory) {
  OPENSSL_free(memory);
}

// Leaves the thread's queue of OpenSSL errors, which is the application's, as it was.
class ErrorQueueMark {
 public:
  ErrorQueueMark() { ERR_set_mark(); }
  ~ErrorQueueMark() { ERR_pop_to_mark(); }
  ErrorQueueMark(const ErrorQueueMark&) = delete;
  ErrorQueueMark& operator=(const ErrorQueueMark&) = delete;
};

std::unexpected<Error> NotAKey() { return Fail(ErrorCode::kMalformed, "not a valid public key"); }

Result<Bytes> SpkiOf(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return NotAKey();
  Bytes spki(der, der + size);
  OPENSSL_free(der);
  return spki;
}

Result<PkeyPtr> ParseSpki(ByteView der) {
  const ErrorQueueMark mark;
  const unsigned char* at = der.data();
  PkeyPtr key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  if (!key || at != der.data() + der.size()) return NotAKey();
  return key;
}

Result<Algorithm> AlgorithmOf(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return Algorithm::kEd25519;
  if (EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) == 2048) {
    return Algorithm::kRsaPss2048;
  }
  std::array<char, 64> group{};
  if (EVP_PKEY_is_a(key, "EC") == 1 &&
      EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1) {
    const std::string_view name(group.data());
    if (name == SN_X9_62_prime256v1) return Algorithm::kEcdsaP256;
    if (name == SN_secp384r1) return Algorithm::kEcdsaP384;
  }
  return Fail(ErrorCode::kMalformed, "not a public key of a supported algorithm");
}

Result<PkeyPtr> FromParams(const char* type, OSSL_PARAM_BLD* builder) {
  const ErrorQueueMark mark;
  const ParamsPtr params(OSSL_PARAM_BLD_to_param(builder));
  const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return NotAKey();
  }
  PkeyPtr owned(key);
  const PkeyCtxPtr check(EVP_PKEY_CTX_new(owned.get(), nullptr));
  if (!check || EVP_PKEY_public_check(check.get()) != 1) return NotAKey();
  return owned;
}

const EVP_MD* DigestOf(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kEd25519:
      return nullptr;
    case Algorithm::kEcdsaP384:
      return EVP_sha384();
    case Algorithm::kEcdsaP256:
    case Algorithm::kRsaPss2048:
      return EVP_sha256();
  }
  return nullptr;
}

// OpenSSL takes any 32 bytes, among them the points of low order, for which anybody can sign.
bool IsEd25519Key(ByteView raw32) {
  return raw32.size() == crypto_core_ed25519_BYTES &&
         crypto_core_ed25519_is_valid_point(raw32.data()) == 1;
}

}  // namespace

Result<PublicKey> PublicKey::FromEd25519(ByteView raw32) {
  if (!IsEd25519Key(raw32)) return NotAKey();
  const PkeyPtr key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw32.data(), raw32.size()));
  if (!key) return NotAKey();
  KEYWARD_ASSIGN(Bytes spki, SpkiOf(key.get()));
  return PublicKey(Algorithm::kEd25519, std::move(spki));
}

Result<PublicKey> PublicKey::FromEcPoint(Algorithm algorithm, ByteView point) {
  const bool p256 = algorithm == Algorithm::kEcdsaP256;
  if (!p256 && algorithm != Algorithm::kEcdsaP384) return NotAKey();
  if (point.size() != (p256 ? 65 : 97) || point[0] != 4) return NotAKey();
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  const char* group = p256 ? SN_X9_62_prime256v1 : SN_secp384r1;
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return NotAKey();
  }
  KEYWARD_ASSIGN(const PkeyPtr key, FromParams("EC", builder.get()));
  KEYWARD_ASSIGN(Bytes spki, SpkiOf(key.get()));
  return PublicKey(algorithm, std::move(spki));
}

Result<PublicKey> PublicKey::FromRsa(ByteView modulus, uint32_t exponent) {
  const BnPtr n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
  const BnPtr e(BN_new());
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  if (!n || !e || !builder || BN_num_bits(n.get()) != 2048 || BN_set_word(e.get(), exponent) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return NotAKey();
  }
  KEYWARD_ASSIGN(const PkeyPtr key, FromParams("RSA", builder.get()));
  KEYWARD_ASSIGN(Bytes spki, SpkiOf(key.get()));
  return PublicKey(Algorithm::kRsaPss2048, std::move(spki));
}

Result<PublicKey> PublicKey::FromSpki(ByteView der) {
  KEYWARD_ASSIGN(const PkeyPtr key, ParseSpki(der));
  // OpenSSL also reads BER, whose last bytes need not be the key's, and one key has one
  // fingerprint.
  KEYWARD_ASSIGN(const Bytes canonical, SpkiOf(key.get()));
  if (!std::ranges::equal(canonical, der)) return NotAKey();
  KEYWARD_ASSIGN(const Algorithm algorithm, AlgorithmOf(key.get()));
  if (algorithm == Algorithm::kEd25519 && !IsEd25519Key(der.last(crypto_core_ed25519_BYTES))) {
    return NotAKey();
  }
  return PublicKey(algorithm, ToBytes(der));
}

Result<PublicKey> PublicKey::FromPem(std::string_view text) {
  if (text.size() > kMaxPem) return Fail(ErrorCode::kTooLarge, "the text is too long for a key");
  const ErrorQueueMark mark;
  const OsslPtr<BIO, BIO_free> source(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  if (!source || PEM_read_bio(source.get(), &name, &header, &data, &size) != 1) return NotAKey();
  const OsslPtr<char, FreeOpenssl<char>> owned_name(name);
  const OsslPtr<char, FreeOpenssl<char>> owned_header(header);
  const OsslPtr<unsigned char, FreeOpenssl<unsigned char>> owned_data(data);
  if (std::string_view(name) != PEM_STRING_PUBLIC) return NotAKey();
  return FromSpki({data, static_cast<size_t>(size)});
}

Result<Bytes> PublicKey::RawEd25519() const {
  if (algorithm_ != Algorithm::kEd25519)
    return Fail(ErrorCode::kNotSupported, "not an Ed25519 key");
  return Bytes(spki_.end() - 32, spki_.end());  // RFC 8410: the key is the end of its SPKI
}

std::string PublicKey::ToPem() const {
  const OsslPtr<BIO, BIO_free> bio(BIO_new(BIO_s_mem()));
  const Result<PkeyPtr> key = ParseSpki(spki_);
  char* text = nullptr;
  if (!bio || !key || PEM_write_bio_PUBKEY(bio.get(), key->get()) != 1) return {};
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(size)};
}

Fingerprint PublicKey::Fingerprint() const {
  keyward::Fingerprint digest{};
  static_assert(digest.size() == crypto_hash_sha256_BYTES);
  crypto_hash_sha256(digest.data(), spki_.data(), spki_.size());  // cannot fail
  return digest;
}

Result<void> PublicKey::Verify(ByteView message, ByteView signature) const {
  const auto wrong = [] {
    return Fail(ErrorCode::kAuthenticationFailed, "the signature does not verify");
  };
  const ErrorQueueMark mark;
  KEYWARD_ASSIGN(const PkeyPtr key, ParseSpki(spki_));
  const MdCtxPtr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  if (!context || EVP_DigestVerifyInit(context.get(), &parameters, DigestOf(algorithm_), nullptr,
                                       key.get()) != 1) {
    return wrong();
  }
  if (algorithm_ == Algorithm::kRsaPss2048 &&
      (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return wrong();
  }
  if (EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                       message.size()) != 1) {
    return wrong();
  }
  return {};
}

Result<Bytes> EcdsaSignatureToDer(ByteView raw) {
  if (raw.empty() || raw.size() % 2 != 0 || raw.size() > 132) {
    return Fail(ErrorCode::kMalformed, "not an ECDSA signature");
  }
  const size_t half = raw.size() / 2;
  const OsslPtr<ECDSA_SIG, ECDSA_SIG_free> signature(ECDSA_SIG_new());
  BnPtr r(BN_bin2bn(raw.data(), static_cast<int>(half), nullptr));
  BnPtr s(BN_bin2bn(raw.data() + half, static_cast<int>(half), nullptr));
  // set0 takes both, and fails only for a null pointer.
  if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.release(), s.release()) != 1) {
    return Fail(ErrorCode::kMalformed, "not an ECDSA signature");
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return Fail(ErrorCode::kMalformed, "not an ECDSA signature");
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

Result<Bytes> DigestForSigning(Algorithm algorithm, ByteView message) {
  const EVP_MD* md = DigestOf(algorithm);
  if (md == nullptr) return Fail(ErrorCode::kNotSupported, "Ed25519 signs messages, not digests");
  Bytes digest(static_cast<size_t>(EVP_MD_get_size(md)));
  if (EVP_Digest(message.data(), message.size(), digest.data(), nullptr, md, nullptr) != 1) {
    return Fail(ErrorCode::kInternal, "hashing failed");
  }
  return digest;
}

}  // namespace keyward
