// A PKCS#11 module, loaded and initialised.
#pragma once

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>

#include "core/result.h"
#include "hsm/pkcs11.h"

namespace keyward::hsm {

// Shared by all threads that use the module; finalised and unloaded when the last reference goes.
//
// Modules such as SoftHSM crash when they are finalised during a call, and see a token that went
// away and came back only after a new C_Initialize. So every call into the module is made under
// Enter(), and Reload() waits for those to end. Each reload starts a new generation, to which no
// handle of an earlier one means anything.
class HsmModule {
 public:
  // Loads just `path`, through p11-kit, with CKF_OS_LOCKING_OK.
  // Errors: kCustodianUnavailable (no such file, not a module, does not initialise).
  static Result<std::shared_ptr<HsmModule>> Load(const std::string& path);
  ~HsmModule();
  HsmModule(const HsmModule&) = delete;
  HsmModule& operator=(const HsmModule&) = delete;

  // Holds the module in place. A thread has at most one at a time, and none while it calls
  // Reload().
  class Call {
   public:
    CK_FUNCTION_LIST* operator->() const { return functions_; }
    uint64_t generation() const { return generation_; }

   private:
    friend class HsmModule;
    Call(std::shared_lock<std::shared_mutex> lock, CK_FUNCTION_LIST* functions, uint64_t generation)
        : lock_(std::move(lock)), functions_(functions), generation_(generation) {}

    std::shared_lock<std::shared_mutex> lock_;
    CK_FUNCTION_LIST* functions_;
    uint64_t generation_;
  };

  // Errors: kCustodianUnavailable after a Reload() that failed.
  Result<Call> Enter();
  // Finalises and initialises anew, unless another thread did since generation `seen`. Also tries
  // again to initialise a module that an earlier reload left without.
  // Errors: kCustodianUnavailable.
  Result<void> Reload(uint64_t seen);
  uint64_t generation();

 private:
  explicit HsmModule(CK_FUNCTION_LIST* functions) : functions_(functions) {}
  Result<void> Initialize();

  CK_FUNCTION_LIST* functions_;
  std::shared_mutex mutex_;
  uint64_t generation_ = 1;
  bool initialized_ = false;
};

}  // namespace keyward::hsm
