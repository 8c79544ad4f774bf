#include "tpm/tpm_counter.h"

#include <algorithm>

#include "core/encoding.h"
#include "tpm/nv_index.h"
#include "tpm/nv_making.h"

namespace keyward::tpm {
namespace {

TPMS_NV_PUBLIC AreaOf(const KeyId& id) {
  TPMS_NV_PUBLIC area{};
  area.nvIndex = NvHandleOf(id, NvUse::kCounter);
  area.nameAlg = TPM2_ALG_SHA256;
  area.attributes = TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT | TPMA_NV_AUTHREAD |
                    TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA;
  const Digest whose = HashParts({AsBytes("keyward.tpm.counter.1"), id});
  area.authPolicy.size = static_cast<uint16_t>(whose.size());
  std::ranges::copy(whose, area.authPolicy.buffer);
  area.dataSize = sizeof(uint64_t);
  return area;
}

Digest AuthOf(const KeyId& id) { return HashParts({AsBytes("keyward.tpm.counter-auth.1"), id}); }

Result<uint64_t> ValueOf(NvIndex& counter) {
  KEYWARD_ASSIGN(const EsysPtr<TPM2B_MAX_NV_BUFFER> data, counter.Read());
  return Reader({data->buffer, data->size}).Integer<uint64_t>();
}

Result<uint64_t> Count(NvIndex& counter) {
  KEYWARD_TRY(counter.Increment());
  return ValueOf(counter);
}

// One that was made to its end.
Result<NvIndex> Open(Link& link, const KeyId& id) {
  const TPMS_NV_PUBLIC wanted = AreaOf(id);
  KEYWARD_ASSIGN(std::optional<NvIndex> counter, NvIndex::Find(link, wanted.nvIndex));
  if (!counter || !IsMadeFrom(counter->area(), wanted) || !counter->written()) {
    return Fail(ErrorCode::kNotFound, "the TPM has no such counter");
  }
  KEYWARD_TRY(counter->UseAuth(AuthOf(id)));
  return std::move(*counter);
}

}  // namespace

Result<uint64_t> TpmCounter::Create(const KeyId& id) {
  const TPMS_NV_PUBLIC wanted = AreaOf(id);
  bool begun = false;
  return links_.Run([&](Link& link) {
    return MakeIndex(link, wanted, AuthOf(id), begun,
                     [](NvIndex& counter) { return Count(counter); });
  });
}

Result<uint64_t> TpmCounter::Read(const KeyId& id) {
  return links_.Run([&](Link& link) -> Result<uint64_t> {
    KEYWARD_ASSIGN(NvIndex counter, Open(link, id));
    return ValueOf(counter);
  });
}

Result<uint64_t> TpmCounter::Increment(const KeyId& id) {
  std::optional<uint64_t> before;  // as of the first of two runs
  return links_.Run([&](Link& link) -> Result<uint64_t> {
    KEYWARD_ASSIGN(NvIndex counter, Open(link, id));
    KEYWARD_ASSIGN(const uint64_t now, ValueOf(counter));
    if (before && now > *before) return now;  // the answer was lost, the count was not
    before = now;
    return Count(counter);
  });
}

Result<void> TpmCounter::Destroy(const KeyId& id) {
  return links_.Run([&](Link& link) -> Result<void> {
    const TPMS_NV_PUBLIC wanted = AreaOf(id);
    KEYWARD_ASSIGN(std::optional<NvIndex> counter, NvIndex::Find(link, wanted.nvIndex));
    if (!counter || !IsMadeFrom(counter->area(), wanted)) return {};
    return counter->Undefine();
  });
}

}  // namespace keyward::tpm
