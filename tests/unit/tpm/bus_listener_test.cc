// What a listener between the host and the TPM sees.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/support/matchers.h"
#include "tests/support/swtpm.h"
#include "tests/unit/tpm/policy_signer.h"
#include "tpm/link.h"
#include "tpm/sensitive.h"
#include "tpm/templates.h"
#include "tpm/tpm_custodian.h"

namespace keyward::tpm {
namespace {

using testing_support::Swtpm;
using testing_support::TempDir;

// The TCTI "pcap" of tpm2-tss records every command and response to a file that it takes from the
// environment; each test runs in a process of its own.
class BusListenerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(tpm_, Swtpm::Start());
    ASSERT_EQ(setenv("TCTI_PCAP_FILE", Recording().c_str(), 1), 0);
    ASSERT_OK_AND_ASSIGN(secret_, SecretBytes::Random(32, rng_));
  }
  std::string Tcti() const { return "pcap:" + tpm_->tcti(); }
  std::string Recording() const { return (state_.path() / "recording.pcap").string(); }
  bool Heard() const {
    std::ifstream file(Recording(), std::ios::binary);
    const Bytes recorded{std::istreambuf_iterator<char>(file), {}};
    EXPECT_GT(recorded.size(), 1000) << "nothing was recorded";
    return !std::ranges::search(recorded, secret_.RevealSecret()).empty();
  }

  SystemRng rng_;
  TempDir state_;
  std::unique_ptr<Swtpm> tpm_;
  SecretBytes secret_;
};

TEST_F(BusListenerTest, HearsNoSecretOnItsWayInOrOut) {
  {
    ASSERT_OK_AND_ASSIGN(const auto custodian, TpmCustodian::Create({Tcti(), state_.path()}, rng_));
    ASSERT_OK_AND_ASSIGN(const Bytes blob, custodian->sealer().Seal(secret_, {}));
    ASSERT_OK_AND_ASSIGN(const SecretBytes opened, custodian->sealer().Unseal(blob, {}));
    EXPECT_TRUE(opened.Equals(secret_.RevealSecret()));
  }
  EXPECT_FALSE(Heard());
}

TEST_F(BusListenerTest, HearsNoMasterKeyOnItsWayInOrOut) {
  constexpr KeyId kId = {1};
  const PolicySigner authority;
  {
    ASSERT_OK_AND_ASSIGN(const auto custodian, TpmCustodian::Create({Tcti(), state_.path()}, rng_));
    ASSERT_OK_AND_ASSIGN(const PublicKey key, authority.public_key());
    ASSERT_OK_AND_ASSIGN(const Bytes record,
                         custodian->master_sealer().SealMaster(kId, secret_, key));
    ASSERT_OK_AND_ASSIGN(const PcrValues pcrs, custodian->attester()->ReadPcrs({0}));
    ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, authority.Sign(pcrs));
    ASSERT_OK_AND_ASSIGN(const SecretBytes opened, custodian->master_sealer().UnsealMaster(
                                                       kId, record, std::span(&policy, 1)));
    EXPECT_TRUE(opened.Equals(secret_.RevealSecret()));
  }
  EXPECT_FALSE(Heard());
}

// The control: the same recording of the same command without the session.
TEST_F(BusListenerTest, HearsASecretThatIsNotEncrypted) {
  {
    ASSERT_OK_AND_ASSIGN(const auto connection, Connection::Open(Tcti()));
    ASSERT_OK_AND_ASSIGN(const Primary primary, CreateStoragePrimary(*connection));
    const Wiped<TPM2B_SENSITIVE_CREATE> sensitive = Sensitive({}, secret_.RevealSecret());
    const TPM2B_PUBLIC area = SealedTemplate();
    const TPM2B_DATA no_outside_info{};
    const TPML_PCR_SELECTION no_pcrs{};
    EsysPtr<TPM2B_PRIVATE> wrapped;
    EsysPtr<TPM2B_PUBLIC> made;
    ASSERT_EQ(Esys_Create(connection->get(), primary.handle.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                          ESYS_TR_NONE, &*sensitive, &area, &no_outside_info, &no_pcrs,
                          EsysOut(wrapped), EsysOut(made), nullptr, nullptr, nullptr),
              TSS2_RC_SUCCESS);
  }
  EXPECT_TRUE(Heard());
}

}  // namespace
}  // namespace keyward::tpm
