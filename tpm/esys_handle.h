// Ownership of an object or session that lives inside the TPM.
#pragma once

#include <tss2/tss2_esys.h>

#include <utility>

namespace keyward::tpm {

// Move-only. Must end before the ESYS_CONTEXT that it came from.
class EsysHandle {
 public:
  enum class Ending : uint8_t {
    kClose,  // ESAPI forgets the handle; what it names stays in the TPM, or is lost already
    kFlush,  // the TPM forgets the object or session, too
  };

  EsysHandle() = default;
  EsysHandle(ESYS_CONTEXT* context, ESYS_TR handle, Ending ending)
      : context_(context), handle_(handle), ending_(ending) {}
  EsysHandle(EsysHandle&& other) noexcept
      : context_(other.context_),
        handle_(std::exchange(other.handle_, ESYS_TR_NONE)),
        ending_(other.ending_) {}
  EsysHandle& operator=(EsysHandle&& other) noexcept;
  EsysHandle(const EsysHandle&) = delete;
  EsysHandle& operator=(const EsysHandle&) = delete;
  ~EsysHandle() { Reset(); }

  ESYS_TR get() const { return handle_; }
  explicit operator bool() const { return handle_ != ESYS_TR_NONE; }
  // The TPM is gone or restarted: there is nothing left to flush.
  void Abandon() { ending_ = Ending::kClose; }
  // ESAPI has closed it by itself, along with what it named.
  void Forget() { handle_ = ESYS_TR_NONE; }
  void Reset() noexcept;

 private:
  ESYS_CONTEXT* context_ = nullptr;
  ESYS_TR handle_ = ESYS_TR_NONE;
  Ending ending_ = Ending::kClose;
};

}  // namespace keyward::tpm
