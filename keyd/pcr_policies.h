// The signed states of the boot that keyd has been given, in the file `pcr-policies`.
//
// They are outside of the store because it takes one to open that. Nobody is trusted for them but
// the authority, whose key is part of what the TPM checks: a file that was changed opens nothing.
#pragma once

#include <filesystem>
#include <vector>

#include "core/pcr_policy.h"

namespace keyward {

inline constexpr size_t kMaxPcrPolicies = 16;

class PcrPolicies {
 public:
  // None when there is no file. Errors: kIo, kDataCorrupt.
  static Result<PcrPolicies> Read(std::filesystem::path file);

  // Puts `policy` first; the oldest goes when there are too many. Errors: kIo,
  // kAuthenticationFailed (not of `authority`), kInvalidArgument (no PCRs).
  Result<void> Add(const SignedPcrPolicy& policy, const PublicKey& authority);

  // The latest first.
  const std::vector<SignedPcrPolicy>& all() const { return policies_; }

 private:
  explicit PcrPolicies(std::filesystem::path file) : file_(std::move(file)) {}

  std::filesystem::path file_;
  std::vector<SignedPcrPolicy> policies_;
};

// "KWPP" u8 version(1) | u8 count | each: u32 PCRs as bits, digest (32), u16 length, signature.
Bytes Encode(const std::vector<SignedPcrPolicy>& policies);
// Errors: kDataCorrupt.
Result<std::vector<SignedPcrPolicy>> DecodePcrPolicies(ByteView bytes);

}  // namespace keyward
