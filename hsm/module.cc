#include "hsm/module.h"

#include <fmt/format.h>

#include <mutex>

#include "hsm/return_value.h"

namespace keyward::hsm {

Result<std::shared_ptr<HsmModule>> HsmModule::Load(const std::string& path) {
  CK_FUNCTION_LIST* functions = p11_kit_module_load(path.c_str(), 0);
  if (functions == nullptr) {
    const char* reason = p11_kit_message();
    return Fail(Error(ErrorCode::kCustodianUnavailable,
                      "the PKCS#11 module cannot be loaded: install it or correct its path")
                    .WithAction(Action::kProvision)
                    .WithCause(fmt::format("{}: {}", path, reason == nullptr ? "" : reason)));
  }
  std::shared_ptr<HsmModule> module(new HsmModule(functions));
  KEYWARD_TRY(module->Initialize());
  return module;
}

HsmModule::~HsmModule() {
  if (initialized_) static_cast<void>(p11_kit_module_finalize(functions_));
  p11_kit_module_release(functions_);
}

Result<void> HsmModule::Initialize() {
  const Result<void> done = Check(p11_kit_module_initialize(functions_), "C_Initialize");
  initialized_ = done.has_value();
  if (initialized_) return {};
  return Fail(Error(ErrorCode::kCustodianUnavailable,
                    "the PKCS#11 module does not start: check its own configuration")
                  .WithAction(Action::kProvision)
                  .WithCause(done.error().cause()));
}

Result<HsmModule::Call> HsmModule::Enter() {
  std::shared_lock lock(mutex_);
  if (!initialized_) return Fail(Check(CKR_CRYPTOKI_NOT_INITIALIZED, "Enter").error());
  return Call(std::move(lock), functions_, generation_);
}

Result<void> HsmModule::Reload(uint64_t seen) {
  const std::unique_lock lock(mutex_);
  if (initialized_ && generation_ != seen) return {};
  ++generation_;
  if (initialized_) {
    KEYWARD_TRY(Check(p11_kit_module_finalize(functions_), "C_Finalize"));
    initialized_ = false;
  }
  return Initialize();
}

uint64_t HsmModule::generation() {
  const std::shared_lock lock(mutex_);
  return generation_;
}

}  // namespace keyward::hsm
