#include "tpm/response_code.h"

#include <fmt/core.h>

#include "tests/support/matchers.h"

namespace keyward::tpm {
namespace {

using ::testing::HasSubstr;
using testing_support::FailsWith;

struct Case {
  TSS2_RC rc;
  Fault fault;
};

class ResponseCodeTest : public ::testing::TestWithParam<Case> {};

TEST_P(ResponseCodeTest, IsDecoded) { EXPECT_EQ(Classify(GetParam().rc), GetParam().fault); }

INSTANTIATE_TEST_SUITE_P(
    Code, ResponseCodeTest,
    ::testing::Values(Case{0x00000, Fault::kNone},       //
                      Case{0x00922, Fault::kTransient},  // TPM_RC_RETRY
                      Case{0x00908, Fault::kTransient},  // TPM_RC_YIELDED
                      Case{0x0090a, Fault::kTransient},  // TPM_RC_TESTING
                      Case{0xa000a, Fault::kGone},       // TCTI: IO_ERROR, as of a dead swtpm
                      Case{0x70007, Fault::kGone},       // ESAPI: BAD_SEQUENCE, for good after that
                      Case{0x7000a, Fault::kGone},       // ESAPI: IO_ERROR
                      Case{0x7001b, Fault::kGone},  // ESAPI: RSP_AUTH_FAILED: not that TPM's answer
                      Case{0xb0001, Fault::kGone},  // resource manager: GENERAL_FAILURE
                      Case{0x00100, Fault::kReset},         // TPM_RC_INITIALIZE
                      Case{0x00910, Fault::kReset},         // TPM_RC_REFERENCE_H0: object lost
                      Case{0x00918, Fault::kReset},         // TPM_RC_REFERENCE_S0: session lost
                      Case{0x0018b, Fault::kReset},         // TPM_RC_HANDLE, handle 1
                      Case{0x00902, Fault::kNoRoom},        // TPM_RC_OBJECT_MEMORY
                      Case{0xc0902, Fault::kNoRoom},        // the same, through a resource manager
                      Case{0x00903, Fault::kNoRoom},        // TPM_RC_SESSION_MEMORY
                      Case{0x00921, Fault::kLockout},       // TPM_RC_LOCKOUT
                      Case{0x00101, Fault::kFailureMode},   // TPM_RC_FAILURE
                      Case{0x0098e, Fault::kUnauthorized},  // TPM_RC_AUTH_FAIL, session 1
                      Case{0x009a2, Fault::kUnauthorized},  // TPM_RC_BAD_AUTH, session 1
                      Case{0x001df, Fault::kRejected},      // TPM_RC_INTEGRITY, parameter 1
                      Case{0x002e7, Fault::kRejected},      // TPM_RC_ECC_POINT, parameter 2
                      Case{0x0099d, Fault::kPolicy},        // TPM_RC_POLICY_FAIL, session 1
                      Case{0x00128, Fault::kPolicy},        // TPM_RC_PCR_CHANGED
                      Case{0x0014c, Fault::kDefined},       // TPM_RC_NV_DEFINED
                      Case{0x0014b, Fault::kNvFull},        // TPM_RC_NV_SPACE
                      Case{0x9000b, Fault::kRejected},      // marshalling: BAD_VALUE
                      Case{0x00120, Fault::kUnexpected}),   // TPM_RC_DISABLED
    [](const auto& code) { return fmt::format("{:05x}", code.param.rc); });

TEST(ErrorOfResponseCodeTest, NamesTheRemedyAndKeepsTheCodeForTheLog) {
  const Error gone = ToError(0xa000a, "TPM2_Sign");
  EXPECT_EQ(gone.code(), ErrorCode::kCustodianUnavailable);
  EXPECT_EQ(gone.action(), Action::kRetryLater);
  EXPECT_THAT(gone.message(), HasSubstr("check that"));
  EXPECT_THAT(gone.cause(), HasSubstr("TPM2_Sign: 0xa000a"));
  EXPECT_THAT(gone.message(), ::testing::Not(HasSubstr("0xa000a")));

  const Error lockout = ToError(0x921, "TPM2_Sign");
  EXPECT_EQ(lockout.code(), ErrorCode::kLockedOut);
  EXPECT_EQ(lockout.action(), Action::kProvision);
  EXPECT_THAT(lockout.message(), HasSubstr("tpm2_dictionarylockout"));

  const Error busy = ToError(0x922, "TPM2_Sign");
  EXPECT_EQ(busy.code(), ErrorCode::kCustodianBusy);
  EXPECT_EQ(busy.action(), Action::kRetryLater);

  const Error full = ToError(0x902, "TPM2_Load");
  EXPECT_EQ(full.code(), ErrorCode::kCustodianBusy);  // its remedy: end those programs
  EXPECT_THAT(full.message(), HasSubstr("end those programs"));

  const Error broken = ToError(0x101, "TPM2_Sign");
  EXPECT_EQ(broken.code(), ErrorCode::kCustodianUnavailable);
  EXPECT_EQ(broken.action(), Action::kProvision);
  EXPECT_THAT(broken.message(), HasSubstr("self-test"));
}

TEST(ErrorOfResponseCodeTest, ASuccessIsNone) {
  EXPECT_OK(Outcome(TSS2_RC_SUCCESS, "TPM2_Sign").Check());
  EXPECT_THAT(Outcome(0x9a2, "TPM2_Unseal").Check(), FailsWith(ErrorCode::kAuthenticationFailed));
}

}  // namespace
}  // namespace keyward::tpm
