// The parser of a master key's record, fed with anything: it may refuse, and what it accepts is, up
// to the MAC, what is written again from its parts.
#include <algorithm>

#include "core/master_sealer.h"
#include "tests/fuzz/require.h"
#include "tpm/master_record.h"
#include "tpm/policy_authority.h"

namespace {

using keyward::ByteView;
using keyward::KeyId;
using keyward::SecretBytes;
using keyward::fuzz::Require;
using keyward::tpm::MasterRecord;

void CheckAccepted(ByteView input, const MasterRecord& record, const SecretBytes& master) {
  constexpr KeyId kId = {1, 2, 3};
  Require(input.size() <= keyward::kMaxMasterRecord);
  const keyward::Bytes again =
      keyward::tpm::EncodeMasterRecord(kId, record.index_name, record.authority, master).value();
  const size_t covered = again.size() - record.mac.size();
  Require(again.size() == input.size());
  Require(std::ranges::equal(ByteView(again).first(covered), input.first(covered)));
  Require(std::ranges::equal(record.mac, input.last(record.mac.size())));
  Require(keyward::tpm::CheckMasterRecord(kId, again, master).has_value());
  const bool same = std::ranges::equal(again, input);
  Require(keyward::tpm::CheckMasterRecord(kId, input, master).has_value() == same);
  const bool usable = keyward::tpm::PolicyAuthority::From(record.authority).has_value();
  Require(!usable || record.authority.algorithm() == keyward::Algorithm::kEcdsaP256);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView input(data, size);
  const auto record = keyward::tpm::DecodeMasterRecord(input);
  if (!record) return 0;
  const auto master = SecretBytes::Create(keyward::kMasterKeySize);
  Require(master.has_value());
  CheckAccepted(input, *record, *master);
  return 0;
}
