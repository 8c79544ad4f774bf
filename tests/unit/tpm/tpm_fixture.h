// A software TPM, a custodian on it, and what a test does to the TPM behind the custodian's back.
#pragma once

#include <memory>

#include "tests/support/matchers.h"
#include "tests/support/swtpm.h"
#include "tpm/capabilities.h"
#include "tpm/tpm_custodian.h"

namespace keyward::tpm {

// One that anybody may extend. The TPM counts its changes, which it does not for PCR 16, the debug
// PCR, and 21 to 23.
inline constexpr uint32_t kTestPcr = 8;

class TpmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(tpm_, testing_support::Swtpm::Start());
    ASSERT_OK_AND_ASSIGN(custodian_, Connect());
  }

  Result<std::unique_ptr<TpmCustodian>> Connect() {
    return TpmCustodian::Create({.tcti = tpm_->tcti(), .state_directory = state_.path()}, rng_);
  }
  // As a power cut does, without TPM2_Shutdown, which is when a TPM counts suspicious ends.
  Result<void> RestartTpm() {
    tpm_->Kill();
    return tpm_->Restart();
  }
  void ExtendPcr(uint32_t pcr) {
    ASSERT_OK_AND_ASSIGN(const auto connection, Connection::Open(tpm_->tcti()));
    TPML_DIGEST_VALUES digests{};
    digests.count = 1;
    digests.digests[0].hashAlg = TPM2_ALG_SHA256;
    digests.digests[0].digest.sha256[0] = 1;
    ASSERT_EQ(Esys_PCR_Extend(connection->get(), ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                              ESYS_TR_NONE, &digests),
              TSS2_RC_SUCCESS);
  }
  // TPM2_PT_LOCKOUT_COUNTER
  Result<uint32_t> FailedTries() {
    KEYWARD_ASSIGN(const auto connection, Connection::Open(tpm_->tcti()));
    KEYWARD_ASSIGN(const auto data,
                   GetCapability(*connection, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_LOCKOUT_COUNTER, 1));
    return data->data.tpmProperties.tpmProperty[0].value;
  }
  // Transient objects and sessions in the TPM; a link has one of each, and keeps two objects more.
  Result<size_t> Occupied(TPM2_HANDLE first) {
    KEYWARD_ASSIGN(const auto connection, Connection::Open(tpm_->tcti()));
    KEYWARD_ASSIGN(const auto data, GetCapability(*connection, TPM2_CAP_HANDLES, first, 32));
    return data->data.handles.count;
  }
  void ExpectNothingLeaked() {
    EXPECT_THAT(Occupied(TPM2_TRANSIENT_FIRST), testing_support::IsOkAndHolds(1));
    EXPECT_THAT(Occupied(TPM2_LOADED_SESSION_FIRST), testing_support::IsOkAndHolds(1));
    EXPECT_THAT(Occupied(TPM2_ACTIVE_SESSION_FIRST), testing_support::IsOkAndHolds(0));
  }

  SystemRng rng_;
  testing_support::TempDir state_;
  std::unique_ptr<testing_support::Swtpm> tpm_;
  std::unique_ptr<TpmCustodian> custodian_;
};

}  // namespace keyward::tpm
