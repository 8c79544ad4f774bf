#include "tpm/connection.h"

#include "tests/support/matchers.h"
#include "tests/support/swtpm.h"
#include "tpm/capabilities.h"
#include "tpm/esys_session.h"
#include "tpm/leaked_objects.h"
#include "tpm/storage_primary.h"

namespace keyward::tpm {
namespace {

using testing_support::FailsWith;
using testing_support::Swtpm;

TEST(TctiTest, KnowsWhichReachTheChipItself) {
  EXPECT_TRUE(ReachesTpmDirectly("swtpm:path=/run/tpm.sock"));
  EXPECT_TRUE(ReachesTpmDirectly("mssim:host=localhost"));
  EXPECT_TRUE(ReachesTpmDirectly("device:/dev/tpm0"));
  EXPECT_TRUE(ReachesTpmDirectly("pcap:swtpm:path=/run/tpm.sock"));
  EXPECT_FALSE(ReachesTpmDirectly("device:/dev/tpmrm0"));
  EXPECT_FALSE(ReachesTpmDirectly("pcap:device:/dev/tpmrm0"));
  EXPECT_FALSE(ReachesTpmDirectly("tabrmd:bus_type=system"));
  EXPECT_FALSE(ReachesTpmDirectly(""));
}

class ConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(tpm_, Swtpm::Start());
    ASSERT_OK_AND_ASSIGN(connection_, Connection::Open(tpm_->tcti()));
  }
  Result<size_t> Count(TPM2_HANDLE first) {
    KEYWARD_ASSIGN(const auto data, GetCapability(*connection_, TPM2_CAP_HANDLES, first, 32));
    return data->data.handles.count;
  }

  std::unique_ptr<Swtpm> tpm_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(ConnectionTest, AnUnknownTctiIsUnavailable) {
  EXPECT_THAT(Connection::Open("nosuch:thing"), FailsWith(ErrorCode::kCustodianUnavailable));
}

TEST_F(ConnectionTest, ACommandIsRepeatedWhileTheTpmAsksForIt) {
  int calls = 0;
  EXPECT_TRUE(connection_->Run("test", [&] { return ++calls < 3 ? 0x922U : 0U; }).ok());
  EXPECT_EQ(calls, 3);
}

TEST_F(ConnectionTest, ABusyTpmIsGivenUpAfterFourSubmissions) {
  int calls = 0;
  const Outcome outcome = connection_->Run("test", [&] { return ++calls, 0x922U; });
  EXPECT_EQ(outcome.fault(), Fault::kTransient);
  EXPECT_EQ(calls, 4);
  EXPECT_FALSE(connection_->lost());
}

TEST_F(ConnectionTest, AWrongAuthorizationIsNeverRepeated) {
  int calls = 0;
  EXPECT_EQ(connection_->Run("test", [&] { return ++calls, 0x98eU; }).fault(),
            Fault::kUnauthorized);
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(connection_->lost());
}

TEST_F(ConnectionTest, IsLostOnceTheTpmIsGone) {
  tpm_->Kill();
  EXPECT_FALSE(connection_->lost());
  EXPECT_THAT(Count(TPM2_TRANSIENT_FIRST), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_TRUE(connection_->lost());
}

TEST_F(ConnectionTest, HandlesAreFlushedWhenTheyEnd) {
  {
    ASSERT_OK_AND_ASSIGN(const Primary primary, CreateStoragePrimary(*connection_));
    ASSERT_OK_AND_ASSIGN(const EsysSession session,
                         EsysSession::Start(*connection_, primary.handle.get()));
    EXPECT_THAT(Count(TPM2_TRANSIENT_FIRST), testing_support::IsOkAndHolds(1));
    EXPECT_THAT(Count(TPM2_LOADED_SESSION_FIRST), testing_support::IsOkAndHolds(1));
  }
  EXPECT_THAT(Count(TPM2_TRANSIENT_FIRST), testing_support::IsOkAndHolds(0));
  EXPECT_THAT(Count(TPM2_LOADED_SESSION_FIRST), testing_support::IsOkAndHolds(0));
}

TEST_F(ConnectionTest, WhatADeadClientLeakedIsFlushed) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(Primary primary, CreateStoragePrimary(*connection_));
    if (i == 0) {
      ASSERT_OK_AND_ASSIGN(EsysSession session,
                           EsysSession::Start(*connection_, primary.handle.get()));
      session.Abandon();
    }
    primary.handle.Abandon();
  }
  EXPECT_THAT(CreateStoragePrimary(*connection_), FailsWith(ErrorCode::kCustodianBusy));
  EXPECT_TRUE(connection_->lost()) << "a full TPM calls for a new connection, which clears it";

  ASSERT_OK_AND_ASSIGN(connection_, Connection::Open(tpm_->tcti()));
  ASSERT_OK(FlushLeakedObjects(*connection_));
  EXPECT_THAT(Count(TPM2_TRANSIENT_FIRST), testing_support::IsOkAndHolds(0));
  EXPECT_THAT(Count(TPM2_LOADED_SESSION_FIRST), testing_support::IsOkAndHolds(0));
  EXPECT_OK(CreateStoragePrimary(*connection_));
}

}  // namespace
}  // namespace keyward::tpm
