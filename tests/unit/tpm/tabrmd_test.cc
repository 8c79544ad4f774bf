// keyd behind the resource manager tpm2-abrmd.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "core/unique_fd.h"
#include "tests/support/matchers.h"
#include "tests/support/swtpm.h"
#include "tests/unit/tpm/policy_signer.h"
#include "tpm/tpm_custodian.h"

namespace keyward::tpm {
namespace {

using testing_support::FailsWith;
using testing_support::Swtpm;
using testing_support::TempDir;

constexpr int kStartTimeoutMs = 30'000;
constexpr const char* kTabrmd = "/usr/sbin/tpm2-abrmd";

constexpr std::string_view kBusConfig = R"(<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={0}/bus.sock</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{0}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
)";

// The bus starts it for the first who asks for it, and it ends with the bus.
constexpr std::string_view kService = R"([D-BUS Service]
Name=com.intel.tss2.Tabrmd
Exec={} --session --allow-root --tcti={}
)";

void Write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  ASSERT_TRUE(file.flush()) << path;
}

// A session bus of the test's own.
class TabrmdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Not among the packages that Keyward installs: it would take hold of the machine's own TPM.
    if (access(kTabrmd, X_OK) != 0) {
      GTEST_SKIP() << "LOUD SKIP: there is no " << kTabrmd << "; install the package tpm2-abrmd";
    }
    ASSERT_OK_AND_ASSIGN(tpm_, Swtpm::Start());
    const std::string folder = bus_.path().string();
    Write(bus_.path() / "bus.conf", fmt::format(kBusConfig, folder));
    Write(bus_.path() / "tabrmd.service", fmt::format(kService, kTabrmd, tpm_->tcti()));
    ASSERT_NO_FATAL_FAILURE(StartBus(folder));
    ASSERT_EQ(setenv("DBUS_SESSION_BUS_ADDRESS", ("unix:path=" + folder + "/bus.sock").c_str(), 1),
              0);
  }
  void TearDown() override {
    // GLib, below the TCTI, would end this process with its bus.
    ASSERT_NE(signal(SIGTERM, SIG_IGN), SIG_ERR);
    daemon_.Kill();
  }

  // Returns when the bus has said its address, and so listens.
  void StartBus(const std::string& folder) {
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe(ends.data()), 0);
    const UniqueFd said(ends[0]);
    UniqueFd tell(ends[1]);
    ASSERT_OK_AND_ASSIGN(
        daemon_, testing_support::ChildProcess::Start(
                     {"dbus-daemon", fmt::format("--config-file={}/bus.conf", folder),
                      "--nopidfile", "--nofork", fmt::format("--print-address={}", tell.get())}));
    tell.Reset();
    pollfd ready{said.get(), POLLIN, 0};
    ASSERT_EQ(poll(&ready, 1, kStartTimeoutMs), 1);
    ASSERT_NE(ready.revents & POLLIN, 0) << "is the package dbus-daemon installed?";
  }

  Result<std::unique_ptr<TpmCustodian>> Connect() {
    return TpmCustodian::Create(
        {.tcti = "tabrmd:bus_type=session", .state_directory = state_.path()}, rng_);
  }

  SystemRng rng_;
  TempDir bus_;
  TempDir state_;
  std::unique_ptr<Swtpm> tpm_;
  testing_support::ChildProcess daemon_;
};

TEST_F(TabrmdTest, CustodiansShareTheTpmWithEachOther) {
  ASSERT_OK_AND_ASSIGN(const auto first, Connect());
  ASSERT_OK_AND_ASSIGN(const auto second, Connect());
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  const ByteView message = AsBytes("a message of some length");
  for (uint8_t i = 0; i < 4; ++i) {
    ASSERT_OK_AND_ASSIGN(const GeneratedKey key,
                         first->signer().GenerateKey(Algorithm::kEcdsaP256, {i}));
    ASSERT_OK_AND_ASSIGN(const Bytes blob, second->sealer().Seal(secret, AsBytes("context")));
    for (const auto& custodian : {first.get(), second.get()}) {
      ASSERT_OK_AND_ASSIGN(const Bytes signature, custodian->signer().Sign(key.reference, message));
      EXPECT_OK(key.public_key.Verify(message, signature));
      ASSERT_OK_AND_ASSIGN(const SecretBytes unsealed,
                           custodian->sealer().Unseal(blob, AsBytes("context")));
      EXPECT_TRUE(unsealed.Equals(secret.RevealSecret()));
    }
  }
}

TEST_F(TabrmdTest, CountersMasterKeyAndQuotesPassThroughIt) {
  constexpr KeyId kId = {1};
  ASSERT_OK_AND_ASSIGN(const auto first, Connect());
  ASSERT_OK_AND_ASSIGN(const auto second, Connect());
  ASSERT_OK_AND_ASSIGN(const uint64_t value, first->counter().Create(kId));
  EXPECT_THAT(second->counter().Increment(kId), testing_support::IsOkAndHolds(value + 1));
  EXPECT_THAT(first->counter().Read(kId), testing_support::IsOkAndHolds(value + 1));

  const PolicySigner authority;
  ASSERT_OK_AND_ASSIGN(const PublicKey key, authority.public_key());
  ASSERT_OK_AND_ASSIGN(const SecretBytes master, SecretBytes::Random(kMasterKeySize, rng_));
  ASSERT_OK_AND_ASSIGN(const Bytes record, first->master_sealer().SealMaster(kId, master, key));
  for (const auto& custodian : {first.get(), second.get()}) {
    ASSERT_OK_AND_ASSIGN(const Quote quote, custodian->attester()->MakeQuote({{1}}, {0, 7}));
    ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, authority.Sign(quote.pcrs));
    ASSERT_OK_AND_ASSIGN(const SecretBytes opened, custodian->master_sealer().UnsealMaster(
                                                       kId, record, std::span(&policy, 1)));
    EXPECT_TRUE(opened.Equals(master.RevealSecret()));
  }
  EXPECT_OK(second->master_sealer().DestroyMaster(kId));
  EXPECT_OK(second->counter().Destroy(kId));
}

TEST_F(TabrmdTest, ATpmThatGoesAwayBehindItIsUnavailable) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, Connect());
  EXPECT_OK(custodian->CheckHealth());
  tpm_->Kill();
  EXPECT_THAT(custodian->CheckHealth(), FailsWith(ErrorCode::kCustodianUnavailable));
}

}  // namespace
}  // namespace keyward::tpm
