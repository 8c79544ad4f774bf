// A token, and the factory that keyd would have for it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "core/rng.h"
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
  std::filesystem::path RejectionFile() const {
    return token_.state_directory() / "hsm-pin-rejected";
  }

  SoftHsmToken token_;
  SystemRng rng_;
};

}  // namespace keyward::hsm
