#include "tpm/esys_handle.h"

namespace keyward::tpm {

EsysHandle& EsysHandle::operator=(EsysHandle&& other) noexcept {
  if (this != &other) {
    Reset();
    context_ = other.context_;
    handle_ = std::exchange(other.handle_, ESYS_TR_NONE);
    ending_ = other.ending_;
  }
  return *this;
}

void EsysHandle::Reset() noexcept {
  if (handle_ == ESYS_TR_NONE) return;
  // A flush that fails means that the TPM has lost the object already, or is lost itself: either
  // way what remains to be freed is ESAPI's own record of it.
  if (ending_ == Ending::kFlush && Esys_FlushContext(context_, handle_) == TSS2_RC_SUCCESS) {
    handle_ = ESYS_TR_NONE;
    return;
  }
  static_cast<void>(Esys_TR_Close(context_, &handle_));  // fails only for a handle it does not know
  handle_ = ESYS_TR_NONE;
}

}  // namespace keyward::tpm
