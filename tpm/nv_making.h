// Making an NV index in more than one command, so that half of one does not stay behind.
#pragma once

#include "tpm/nv_index.h"

namespace keyward::tpm {

// Defines `wanted` and runs `Result<T> finish(NvIndex&)` on it; when that fails, the index is
// removed again. For LinkKeeper::Run, which may call it a second time on a new link: `begun`, false
// at first, outlives both calls and says that an index like `wanted` is our own first half. Errors:
// those of NvIndex::Define and `finish`.
template <class Finish>
auto MakeIndex(Link& link, const TPMS_NV_PUBLIC& wanted, ByteView auth, bool& begun, Finish finish)
    -> decltype(finish(std::declval<NvIndex&>())) {
  KEYWARD_ASSIGN(std::optional<NvIndex> found, NvIndex::Find(link, wanted.nvIndex));
  if (found) {
    if (!begun || !IsMadeFrom(found->area(), wanted)) {
      return Fail(ErrorCode::kAlreadyExists, "the TPM has an NV index of that name already");
    }
    KEYWARD_TRY(found->Undefine());
  }
  begun = true;
  KEYWARD_ASSIGN(NvIndex index, NvIndex::Define(link, wanted, auth));
  auto finished = finish(index);
  if (!finished) {
    // Where this fails, too, the id that was announced is there to find it by.
    [[maybe_unused]] const Result<void> removed = index.Undefine();
  }
  return finished;
}

}  // namespace keyward::tpm
