// Ownership of what ESAPI returns in memory.
#pragma once

#include <tss2/tss2_esys.h>

#include <memory>

namespace keyward::tpm {

struct EsysFree {
  void operator()(void* memory) const { Esys_Free(memory); }
};

template <class T>
using EsysPtr = std::unique_ptr<T, EsysFree>;

// Lets ESAPI write its `T**` out-parameter into an EsysPtr:
//   Esys_GetRandom(..., EsysOut(random));
// The pointer is taken over at the end of the full expression, whether the call succeeded or not.
template <class T>
class EsysOut {
 public:
  explicit EsysOut(EsysPtr<T>& target) : target_(target) {}
  EsysOut(const EsysOut&) = delete;
  EsysOut& operator=(const EsysOut&) = delete;
  ~EsysOut() { target_.reset(raw_); }
  operator T**() && { return &raw_; }  // NOLINT(google-explicit-constructor): the point of the type

 private:
  EsysPtr<T>& target_;
  T* raw_ = nullptr;
};

}  // namespace keyward::tpm
