// A token, and the factory that keyd would have for it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "core/rng.h"
#include "hsm/hsm_custodian.h"
#include "hsm/hsm_factory.h"
#include "tests/support/matchers.h"
#include "tests/support/softhsm_token.h"

namespace keyward::hsm {

using testing_support::FailsWith;
using testing_support::SoftHsmToken;

class HsmFixture : public ::testing::Test {
 protected:
  HsmOptions Options() const {
    return {.module_path = SoftHsmToken::kModulePath,
            .token_label = SoftHsmToken::kLabel,
            .pin_file = token_.pin_file(),
            .pin_credential = "",
            .state_directory = token_.state_directory()};
  }
  // With the accessors of what only the custodian's own class has.
  std::unique_ptr<HsmCustodian> MakeCustodian() {
    auto made = HsmFactory(Options(), rng_).Make();
    EXPECT_OK(made);
    return std::unique_ptr<HsmCustodian>(made ? dynamic_cast<HsmCustodian*>(made->release())
                                              : nullptr);
  }
  // A session beside Keyward's, in the login that they share.
  static Session OpenSession() {
    const auto module = HsmModule::Load(SoftHsmToken::kModulePath).value();
    return Session::Open(module, FindToken(*module, SoftHsmToken::kLabel).value()).value();
  }
  KeyId NewId() {
    KeyId id;
    rng_.Fill(id);
    return id;
  }
  std::filesystem::path RejectionFile() const {
    return token_.state_directory() / "hsm-pin-rejected";
  }

  SoftHsmToken token_;
  SystemRng rng_;
};

}  // namespace keyward::hsm
