#include "tpm/signature.h"

#include <openssl/ecdsa.h>
#include <tss2/tss2_mu.h>

#include <algorithm>

#include "core/openssl_ptr.h"
#include "core/public_key.h"

namespace keyward::tpm {
namespace {

constexpr int kP256Size = 32;

void AppendPadded(Bytes& out, const TPM2B_ECC_PARAMETER& number, size_t size) {
  out.insert(out.end(), size - std::min<size_t>(size, number.size), 0);
  Append(out, {number.buffer, number.size});
}

bool Fill(TPM2B_ECC_PARAMETER& target, const BIGNUM* number) {
  target.size = kP256Size;
  return BN_bn2binpad(number, target.buffer, kP256Size) == kP256Size;
}

}  // namespace

Result<Bytes> ToSignatureBytes(Algorithm algorithm, const TPMT_SIGNATURE& signature) {
  if (algorithm == Algorithm::kRsaPss2048) {
    const TPM2B_PUBLIC_KEY_RSA& value = signature.signature.rsapss.sig;
    return Bytes(value.buffer, value.buffer + value.size);
  }
  const size_t size = algorithm == Algorithm::kEcdsaP256 ? 32 : 48;
  Bytes raw;
  AppendPadded(raw, signature.signature.ecdsa.signatureR, size);
  AppendPadded(raw, signature.signature.ecdsa.signatureS, size);
  return EcdsaSignatureToDer(raw);
}

Result<TPMT_SIGNATURE> ToTpmSignature(ByteView der) {
  const unsigned char* at = der.data();
  const OsslPtr<ECDSA_SIG, ECDSA_SIG_free> parsed(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  TPMT_SIGNATURE signature{};
  signature.sigAlg = TPM2_ALG_ECDSA;
  TPMS_SIGNATURE_ECC& ecdsa = signature.signature.ecdsa;
  ecdsa.hash = TPM2_ALG_SHA256;
  if (!parsed || at != der.data() + der.size() ||
      !Fill(ecdsa.signatureR, ECDSA_SIG_get0_r(parsed.get())) ||
      !Fill(ecdsa.signatureS, ECDSA_SIG_get0_s(parsed.get()))) {
    return Fail(ErrorCode::kMalformed, "not an ECDSA P-256 signature");
  }
  return signature;
}

Result<Bytes> Marshal(const TPMT_SIGNATURE& signature) {
  Bytes out(sizeof(TPMT_SIGNATURE));
  size_t size = 0;
  if (Tss2_MU_TPMT_SIGNATURE_Marshal(&signature, out.data(), out.size(), &size) !=
      TSS2_RC_SUCCESS) {
    return Fail(ErrorCode::kMalformed, "not a signature");
  }
  out.resize(size);
  return out;
}

}  // namespace keyward::tpm
