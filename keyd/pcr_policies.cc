#include "keyd/pcr_policies.h"

#include <algorithm>

#include "core/encoding.h"
#include "core/file.h"

namespace keyward {
namespace {

constexpr std::string_view kMagic = "KWPP";
constexpr uint8_t kVersion = 1;
constexpr size_t kMaxFile = size_t{16} * 1024;

std::unexpected<Error> Damaged(std::string cause) {
  return Fail(Error(ErrorCode::kDataCorrupt,
                    "the file pcr-policies in the state directory is damaged: remove it, then "
                    "keyctl policy pcr sign")
                  .WithAction(Action::kProvision)
                  .WithCause(std::move(cause)));
}

Result<SignedPcrPolicy> ReadPolicy(Reader& in) {
  SignedPcrPolicy policy{};
  KEYWARD_ASSIGN(const uint32_t bits, in.Integer<uint32_t>());
  KEYWARD_ASSIGN(policy.pcrs, PcrsFromBits(bits));
  KEYWARD_ASSIGN(const ByteView digest, in.Raw(policy.digest.size()));
  std::ranges::copy(digest, policy.digest.begin());
  KEYWARD_ASSIGN(const ByteView signature, in.Field<uint16_t>());
  policy.signature = ToBytes(signature);
  return policy;
}

Result<std::vector<SignedPcrPolicy>> Parse(ByteView bytes) {
  Reader in(bytes);
  KEYWARD_ASSIGN(const ByteView magic, in.Raw(kMagic.size()));
  KEYWARD_ASSIGN(const uint8_t version, in.Integer<uint8_t>());
  KEYWARD_ASSIGN(const uint8_t count, in.Integer<uint8_t>());
  if (AsText(magic) != kMagic || version != kVersion || count > kMaxPcrPolicies) {
    return Fail(ErrorCode::kMalformed, "not a pcr-policies file of this version");
  }
  std::vector<SignedPcrPolicy> policies;
  for (int i = 0; i < count; ++i) {
    KEYWARD_ASSIGN(SignedPcrPolicy policy, ReadPolicy(in));
    policies.push_back(std::move(policy));
  }
  KEYWARD_TRY(in.End());
  return policies;
}

}  // namespace

Bytes Encode(const std::vector<SignedPcrPolicy>& policies) {
  Writer out;
  out.Raw(AsBytes(kMagic)).Integer(kVersion).Integer(static_cast<uint8_t>(policies.size()));
  for (const SignedPcrPolicy& policy : policies) {
    out.Integer(ToBits(policy.pcrs)).Raw(policy.digest).Field<uint16_t>(policy.signature);
  }
  return out.Take();
}

Result<std::vector<SignedPcrPolicy>> DecodePcrPolicies(ByteView bytes) {
  Result<std::vector<SignedPcrPolicy>> policies = Parse(bytes);
  if (!policies) return Damaged(policies.error().message());
  return policies;
}

Result<PcrPolicies> PcrPolicies::Read(std::filesystem::path file) {
  Result<std::optional<Bytes>> contents = ReadFile(file, kMaxFile);
  if (!contents && contents.error().code() == ErrorCode::kTooLarge) return Damaged("too large");
  if (!contents) return Fail(contents.error());
  PcrPolicies policies(std::move(file));
  if (*contents) {
    KEYWARD_ASSIGN(policies.policies_, DecodePcrPolicies(**contents));
  }
  return policies;
}

Result<void> PcrPolicies::Add(const SignedPcrPolicy& policy, const PublicKey& authority) {
  KEYWARD_TRY(MarshalPcrSelection(policy.pcrs));
  if (!VerifyPcrPolicy(policy, authority)) {
    return Fail(Error(ErrorCode::kAuthenticationFailed,
                      "the PCR policy is not signed by the authority that the master key was "
                      "sealed for")
                    .WithAction(Action::kFixRequest));
  }
  std::vector<SignedPcrPolicy> changed = policies_;
  std::erase_if(changed, [&](const auto& each) { return each.digest == policy.digest; });
  changed.insert(changed.begin(), policy);
  if (changed.size() > kMaxPcrPolicies) changed.pop_back();
  KEYWARD_TRY(ReplaceFile(file_, Encode(changed)));
  policies_ = std::move(changed);
  return {};
}

}  // namespace keyward
