// The fixture of the suite: one backend per case.
#pragma once

#include <gtest/gtest.h>

#include "core/rng.h"
#include "tests/conformance/backend.h"
#include "tests/support/matchers.h"

namespace keyward::conformance {

class BackendConformance : public ::testing::TestWithParam<BackendKind> {
 protected:
  void SetUp() override {
    backend_ = GetParam().start();
    custodian_ = MakeCustodian();
    ASSERT_NE(custodian_, nullptr);
  }

  std::unique_ptr<Custodian> MakeCustodian() {
    auto custodian = backend_->Make();
    EXPECT_OK(custodian);
    return custodian ? std::move(*custodian) : nullptr;
  }
  Signer& signer() { return custodian_->signer(); }
  Sealer& sealer() { return custodian_->sealer(); }
  Algorithm AnyAlgorithm() { return signer().SigningAlgorithms().front(); }
  KeyId NewId() {
    KeyId id;
    rng_.Fill(id);
    return id;
  }
  SecretBytes NewSecret(size_t size) { return SecretBytes::Random(size, rng_).value(); }

  SystemRng rng_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Custodian> custodian_;  // after, so that it goes before the backend
};

}  // namespace keyward::conformance
