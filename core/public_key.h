// A public key in the one form that every tool reads: X.509 SubjectPublicKeyInfo.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "core/algorithm.h"
#include "core/bytes.h"
#include "core/result.h"

namespace keyward {

inline constexpr size_t kMaxPem = size_t{64} * 1024;

using Fingerprint = std::array<uint8_t, 32>;  // SHA-256 of a SubjectPublicKeyInfo

// Immutable; copy freely; any thread.
class PublicKey {
 public:
  // Each checks the key (length; a point on the curve, of full order). Errors: kMalformed.
  static Result<PublicKey> FromEd25519(ByteView raw32);
  // `point` is SEC1 uncompressed (04 || X || Y); algorithm kEcdsaP256 or kEcdsaP384.
  static Result<PublicKey> FromEcPoint(Algorithm algorithm, ByteView point);
  // Big-endian modulus (256 bytes) and exponent.
  static Result<PublicKey> FromRsa(ByteView modulus, uint32_t exponent);
  // DER SubjectPublicKeyInfo (RFC 5280, RFC 8410) of one of our algorithms.
  static Result<PublicKey> FromSpki(ByteView der);
  // A text whose first PEM block (RFC 7468) is a "PUBLIC KEY"; at most kMaxPem bytes, else
  // kTooLarge.
  static Result<PublicKey> FromPem(std::string_view text);

  Algorithm algorithm() const { return algorithm_; }
  const Bytes& spki() const { return spki_; }
  // The 32 bytes of an Ed25519 key. Errors: kNotSupported for another algorithm.
  Result<Bytes> RawEd25519() const;
  // "-----BEGIN PUBLIC KEY-----..."
  std::string ToPem() const;
  keyward::Fingerprint Fingerprint() const;

  // Signatures are: Ed25519 64 bytes; ECDSA DER Ecdsa-Sig-Value (RFC 3279); RSA-PSS 256 bytes. The
  // message is whole: hashing is the algorithm's own. Errors: kAuthenticationFailed.
  Result<void> Verify(ByteView message, ByteView signature) const;

  bool operator==(const PublicKey&) const = default;

 private:
  PublicKey(Algorithm algorithm, Bytes spki) : algorithm_(algorithm), spki_(std::move(spki)) {}

  Algorithm algorithm_;
  Bytes spki_;
};

// r || s, each as long as the curve's order (PKCS#11, TPM), as DER Ecdsa-Sig-Value.
// Errors: kMalformed when `raw` is empty, of odd length or over 132 bytes.
Result<Bytes> EcdsaSignatureToDer(ByteView raw);

// The digest that `algorithm` signs: SHA-256, or SHA-384 for P-384. For custodians that sign
// digests. Errors: kNotSupported for Ed25519, which signs the message itself.
Result<Bytes> DigestForSigning(Algorithm algorithm, ByteView message);

}  // namespace keyward
