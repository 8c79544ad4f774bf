// The parsers of keyd's own files, fed with anything: what they accept is written again as the same
// bytes.
#include <algorithm>

#include "keyd/audit_tail.h"
#include "keyd/former_home.h"
#include "keyd/master_record.h"
#include "keyd/pcr_policies.h"
#include "keyd/second_record.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using keyward::fuzz::Require;
  const keyward::ByteView input(data, size);
  if (const auto record = keyward::DecodeMasterRecord(input)) {
    Require(std::ranges::equal(keyward::Encode(*record), input));
  }
  if (const auto second = keyward::DecodeSecondSeal(input)) {
    Require(std::ranges::equal(keyward::Encode(*second), input));
  }
  if (const auto tail = keyward::DecodeAuditTail(input)) {
    Require(std::ranges::equal(keyward::Encode(*tail), input));
  }
  if (const auto former = keyward::DecodeFormerHome(input)) {
    Require(std::ranges::equal(keyward::Encode(*former), input));
  }
  if (const auto policies = keyward::DecodePcrPolicies(input)) {
    Require(std::ranges::equal(keyward::Encode(*policies), input));
  }
  return 0;
}
