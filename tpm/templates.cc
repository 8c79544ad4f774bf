#include "tpm/templates.h"

#include <sodium.h>
#include <tss2/tss2_mu.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/encoding.h"
#include "tpm/digest.h"
#include "tpm/sensitive.h"

namespace keyward::tpm {
namespace {

constexpr TPMA_OBJECT kBound =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA;
constexpr TPMA_OBJECT kStorageAttributes =
    kBound | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
constexpr TPMA_OBJECT kEndorsementAttributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
// PolicyA of the profile: TPM2_PolicySecret(TPM_RH_ENDORSEMENT).
constexpr auto kEndorsementPolicy =
    std::to_array<uint8_t>({0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
                            0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
                            0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa});
constexpr TPMA_OBJECT kSigningAttributes =
    kBound | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_SIGN_ENCRYPT;
constexpr std::array kSigningAlgorithms = {Algorithm::kEcdsaP256, Algorithm::kEcdsaP384,
                                           Algorithm::kRsaPss2048};
constexpr uint32_t kRsaExponent = 65537;  // what 0 in a template and a public area stands for

TPM2B_PUBLIC Template(TPMI_ALG_PUBLIC type, TPMA_OBJECT attributes) {
  TPM2B_PUBLIC object{};
  object.publicArea.type = type;
  object.publicArea.nameAlg = TPM2_ALG_SHA256;
  object.publicArea.objectAttributes = attributes;
  return object;
}

TPM2B_PUBLIC EcdsaTemplate(TPM2_ECC_CURVE curve, TPM2_ALG_ID hash, TPMA_OBJECT attributes) {
  TPM2B_PUBLIC object = Template(TPM2_ALG_ECC, attributes);
  TPMS_ECC_PARMS& ecc = object.publicArea.parameters.eccDetail;
  ecc.symmetric.algorithm = TPM2_ALG_NULL;
  ecc.scheme.scheme = TPM2_ALG_ECDSA;
  ecc.scheme.details.ecdsa.hashAlg = hash;
  ecc.curveID = curve;
  ecc.kdf.scheme = TPM2_ALG_NULL;
  return object;
}

TPM2B_PUBLIC RsaPssTemplate() {
  TPM2B_PUBLIC object = Template(TPM2_ALG_RSA, kSigningAttributes);
  TPMS_RSA_PARMS& rsa = object.publicArea.parameters.rsaDetail;
  rsa.symmetric.algorithm = TPM2_ALG_NULL;
  rsa.scheme.scheme = TPM2_ALG_RSAPSS;
  rsa.scheme.details.rsapss.hashAlg = TPM2_ALG_SHA256;
  rsa.keyBits = 2048;
  return object;
}

// A key that wraps others: P-256 with AES-128-CFB.
TPM2B_PUBLIC StorageTemplate(TPMA_OBJECT attributes) {
  TPM2B_PUBLIC object = Template(TPM2_ALG_ECC, attributes);
  TPMS_ECC_PARMS& ecc = object.publicArea.parameters.eccDetail;
  ecc.symmetric.algorithm = TPM2_ALG_AES;
  ecc.symmetric.keyBits.aes = 128;
  ecc.symmetric.mode.aes = TPM2_ALG_CFB;
  ecc.scheme.scheme = TPM2_ALG_NULL;
  ecc.curveID = TPM2_ECC_NIST_P256;
  ecc.kdf.scheme = TPM2_ALG_NULL;
  object.publicArea.unique.ecc.x = {.size = 32, .buffer = {}};  // zeros, as the guidance has it
  object.publicArea.unique.ecc.y = {.size = 32, .buffer = {}};
  return object;
}

// Without the part in which objects of one template differ.
Result<Bytes> MarshalWithoutUnique(TPMT_PUBLIC object) {
  std::memset(&object.unique, 0, sizeof(object.unique));
  return Marshal(object);
}

Bytes Padded(ByteView number, size_t size) {
  Bytes out(size - std::min(size, number.size()), 0);
  Append(out, number);
  return out;
}

}  // namespace

TPM2B_PUBLIC StoragePrimaryTemplate() { return StorageTemplate(kStorageAttributes); }

TPM2B_PUBLIC EndorsementKeyTemplate() {
  TPM2B_PUBLIC object = StorageTemplate(kEndorsementAttributes);
  object.publicArea.authPolicy.size = static_cast<uint16_t>(kEndorsementPolicy.size());
  std::ranges::copy(kEndorsementPolicy, object.publicArea.authPolicy.buffer);
  return object;
}

Result<TPM2B_PUBLIC> SigningTemplate(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kEcdsaP256:
      return EcdsaTemplate(TPM2_ECC_NIST_P256, TPM2_ALG_SHA256, kSigningAttributes);
    case Algorithm::kEcdsaP384:
      return EcdsaTemplate(TPM2_ECC_NIST_P384, TPM2_ALG_SHA384, kSigningAttributes);
    case Algorithm::kRsaPss2048:
      return RsaPssTemplate();
    case Algorithm::kEd25519:
      break;
  }
  return Fail(ErrorCode::kNotSupported,
              "a TPM has no Ed25519; choose ecdsa-p256, or custody sealed for this key");
}

TPM2B_PUBLIC AttestationKeyTemplate() {
  TPM2B_PUBLIC object = EcdsaTemplate(TPM2_ECC_NIST_P256, TPM2_ALG_SHA256,
                                      kSigningAttributes | TPMA_OBJECT_RESTRICTED);
  Assign(object.publicArea.unique.ecc.x, HashParts({AsBytes("keyward.tpm.attestation-key.1")}));
  object.publicArea.unique.ecc.y = {.size = 32, .buffer = {}};
  return object;
}

Result<TPM2B_PUBLIC> VerificationKeyArea(const PublicKey& key) {
  constexpr size_t kPointSize = 65;  // 04 || X || Y, the end of the SPKI
  const ByteView spki = key.spki();
  const ByteView point = spki.last(std::min(spki.size(), kPointSize));
  const Result<PublicKey> same = PublicKey::FromEcPoint(Algorithm::kEcdsaP256, point);
  if (!same || *same != key) {
    return Fail(ErrorCode::kInvalidArgument,
                "the authority of PCR policies is an ECDSA P-256 key with its point uncompressed");
  }
  TPM2B_PUBLIC object =
      EcdsaTemplate(TPM2_ECC_NIST_P256, TPM2_ALG_SHA256,
                    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_NODA);
  Assign(object.publicArea.unique.ecc.x, point.subspan(1, 32));
  Assign(object.publicArea.unique.ecc.y, point.subspan(33, 32));
  return object;
}

TPM2B_PUBLIC SealedTemplate() {
  TPM2B_PUBLIC object = Template(TPM2_ALG_KEYEDHASH, kBound);
  object.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
  return object;
}

bool IsMadeFrom(const TPMT_PUBLIC& object, const TPM2B_PUBLIC& expected) {
  const Result<Bytes> left = MarshalWithoutUnique(object);
  const Result<Bytes> right = MarshalWithoutUnique(expected.publicArea);
  return left && right && *left == *right;
}

Result<Algorithm> SigningAlgorithmOf(const TPMT_PUBLIC& object) {
  for (const Algorithm algorithm : kSigningAlgorithms) {
    const Result<TPM2B_PUBLIC> expected = SigningTemplate(algorithm);
    if (expected && IsMadeFrom(object, *expected)) return algorithm;
  }
  return Fail(ErrorCode::kMalformed, "not a signing key of Keyward's");
}

Result<PublicKey> ToEcdsaKey(Algorithm algorithm, const TPMT_PUBLIC& object) {
  const size_t size = algorithm == Algorithm::kEcdsaP256 ? 32 : 48;
  const TPMS_ECC_POINT& at = object.unique.ecc;
  Bytes point = {4};
  Append(point, Padded({at.x.buffer, at.x.size}, size));
  Append(point, Padded({at.y.buffer, at.y.size}, size));
  return PublicKey::FromEcPoint(algorithm, point);
}

Result<PublicKey> ToPublicKey(const TPMT_PUBLIC& object) {
  KEYWARD_ASSIGN(const Algorithm algorithm, SigningAlgorithmOf(object));
  if (algorithm == Algorithm::kRsaPss2048) {
    const TPM2B_PUBLIC_KEY_RSA& modulus = object.unique.rsa;
    return PublicKey::FromRsa({modulus.buffer, modulus.size}, kRsaExponent);
  }
  return ToEcdsaKey(algorithm, object);
}

Result<Bytes> Marshal(const TPMT_PUBLIC& object) {
  Bytes out(sizeof(TPMT_PUBLIC));
  size_t size = 0;
  if (Tss2_MU_TPMT_PUBLIC_Marshal(&object, out.data(), out.size(), &size) != TSS2_RC_SUCCESS) {
    return Fail(ErrorCode::kMalformed, "not a public area");
  }
  out.resize(size);
  return out;
}

Result<TPMT_PUBLIC> UnmarshalPublic(ByteView bytes) {
  TPMT_PUBLIC object{};
  size_t size = 0;
  if (Tss2_MU_TPMT_PUBLIC_Unmarshal(bytes.data(), bytes.size(), &size, &object) !=
          TSS2_RC_SUCCESS ||
      size != bytes.size()) {
    return Fail(ErrorCode::kMalformed, "not a public area");
  }
  return object;
}

Result<Bytes> NameOf(const TPMT_PUBLIC& object) {
  if (object.nameAlg != TPM2_ALG_SHA256) {
    return Fail(ErrorCode::kMalformed, "a name that is not SHA-256");
  }
  KEYWARD_ASSIGN(const Bytes area, Marshal(object));
  std::array<uint8_t, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), area.data(), area.size());
  return Writer().Integer<uint16_t>(object.nameAlg).Raw(digest).Take();
}

}  // namespace keyward::tpm
