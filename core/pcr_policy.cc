#include "core/pcr_policy.h"

#include <sodium.h>

#include <algorithm>

#include "core/encoding.h"

namespace keyward {
namespace {

constexpr uint32_t kPolicyPcrCommand = 0x0000017F;  // TPM_CC_PolicyPCR
constexpr uint16_t kSha256Bank = 0x000B;            // TPM_ALG_SHA256
constexpr uint8_t kSelectBytes = kPcrCount / 8;

Bytes Sha256(ByteView bytes) {
  Bytes digest(crypto_hash_sha256_BYTES);
  crypto_hash_sha256(digest.data(), bytes.data(), bytes.size());
  return digest;
}

}  // namespace

Result<Bytes> MarshalPcrSelection(const PcrSelection& pcrs) {
  std::array<uint8_t, kSelectBytes> bits{};
  for (const uint32_t pcr : pcrs) {
    if (pcr >= kPcrCount)
      return Fail(ErrorCode::kInvalidArgument, "a PCR is a number from 0 to 23");
    bits.at(pcr / 8) |= static_cast<uint8_t>(1U << (pcr % 8));
  }
  if (pcrs.empty()) return Fail(ErrorCode::kInvalidArgument, "choose at least one PCR");
  constexpr uint32_t kBanks = 1;
  return Writer().Integer(kBanks).Integer(kSha256Bank).Field<uint8_t>(bits).Take();
}

uint32_t ToBits(const PcrSelection& pcrs) {
  uint32_t bits = 0;
  for (const uint32_t pcr : pcrs) bits |= uint32_t{1} << pcr;
  return bits;
}

Result<PcrSelection> PcrsFromBits(uint32_t bits) {
  if (bits == 0 || bits >> kPcrCount != 0) {
    return Fail(ErrorCode::kInvalidArgument, "choose at least one PCR, from 0 to 23");
  }
  PcrSelection pcrs;
  for (uint32_t pcr = 0; pcr < kPcrCount; ++pcr) {
    if ((bits >> pcr & 1) != 0) pcrs.insert(pcr);
  }
  return pcrs;
}

Result<PcrPolicyDigest> DigestOfPcrPolicy(const PcrValues& values) {
  PcrSelection pcrs;
  Bytes concatenated;
  for (const auto& [pcr, value] : values) {
    pcrs.insert(pcr);
    Append(concatenated, value);
  }
  KEYWARD_ASSIGN(const Bytes selection, MarshalPcrSelection(pcrs));
  const PcrPolicyDigest fresh_session{};
  const Bytes extended = Writer()
                             .Raw(fresh_session)
                             .Integer(kPolicyPcrCommand)
                             .Raw(selection)
                             .Raw(Sha256(concatenated))
                             .Take();
  PcrPolicyDigest digest{};
  crypto_hash_sha256(digest.data(), extended.data(), extended.size());
  return digest;
}

std::optional<bool> IsInState(const PcrValues& values, const PcrSelection& pcrs, ByteView digest) {
  PcrValues chosen;
  for (const auto& [pcr, value] : values) {
    if (pcrs.contains(pcr)) chosen.emplace(pcr, value);
  }
  const Result<PcrPolicyDigest> now = DigestOfPcrPolicy(chosen);
  if (chosen.size() != pcrs.size() || !now) return std::nullopt;
  return std::ranges::equal(*now, digest);
}

Result<void> VerifyPcrPolicy(const SignedPcrPolicy& policy, const PublicKey& authority) {
  if (authority.algorithm() != Algorithm::kEcdsaP256) {
    return Fail(ErrorCode::kNotSupported, "the authority of PCR policies is an ECDSA P-256 key");
  }
  return authority.Verify(policy.digest, policy.signature);
}

}  // namespace keyward
