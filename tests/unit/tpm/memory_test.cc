// What a reader of the daemon's memory finds after a secret went through the TPM.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "core/unique_fd.h"
#include "tests/support/matchers.h"
#include "tests/support/swtpm.h"
#include "tests/unit/tpm/policy_signer.h"
#include "tpm/tpm_custodian.h"

namespace keyward::tpm {
namespace {

using testing_support::Swtpm;
using testing_support::TempDir;

constexpr uint8_t kMask = 0xa5;
constexpr size_t kMaxRegion = size_t{1} << 30;  // larger ones are a sanitizer's bookkeeping

// What to look for, kept in another form than the one that is looked for.
class Needle {
 public:
  explicit Needle(const SecretBytes& secret) : masked_(ToBytes(secret.RevealSecret())) {
    for (uint8_t& byte : masked_) byte ^= kMask;
  }
  size_t CountIn(ByteView memory) const {
    const auto same = [](uint8_t left, uint8_t masked) { return left == (masked ^ kMask); };
    size_t count = 0;
    auto at = memory.begin();
    while ((at = std::search(at, memory.end(), masked_.begin(), masked_.end(), same)) !=
           memory.end()) {
      ++count;
      ++at;
    }
    return count;
  }

 private:
  Bytes masked_;
};

// Copies in all memory that this process can write to and another could read.
size_t CopiesInMemory(const Needle& needle) {
  const UniqueFd memory(open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    char dash = 0;
    std::string permissions;
    std::istringstream(line) >> std::hex >> begin >> dash >> end >> permissions;
    if (!permissions.starts_with("rw") || end - begin > kMaxRegion) {
      continue;
    }
    Bytes region(end - begin);
    const ssize_t size =
        pread(memory.get(), region.data(), region.size(), static_cast<off_t>(begin));
    if (size > 0) count += needle.CountIn(ByteView(region).first(static_cast<size_t>(size)));
    std::ranges::fill(region, uint8_t{0});
  }
  return count;
}

class MemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(tpm_, Swtpm::Start());
    ASSERT_OK_AND_ASSIGN(
        custodian_,
        TpmCustodian::Create({.tcti = tpm_->tcti(), .state_directory = state_.path()}, rng_));
  }

  SystemRng rng_;
  TempDir state_;
  std::unique_ptr<Swtpm> tpm_;
  std::unique_ptr<TpmCustodian> custodian_;
};

// The control for the two below.
TEST_F(MemoryTest, TheSearchFindsWhatIsThere) {
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  const Needle needle(secret);
  const Bytes copy = ToBytes(secret.RevealSecret());
  EXPECT_GE(CopiesInMemory(needle), 1);
}

TEST_F(MemoryTest, SealingLeavesNoCopy) {
  ASSERT_OK_AND_ASSIGN(SecretBytes secret, SecretBytes::Random(32, rng_));
  const Needle needle(secret);
  ASSERT_OK(custodian_->sealer().Seal(secret, {}));
  secret.Wipe();
  EXPECT_EQ(CopiesInMemory(needle), 0);
}

TEST_F(MemoryTest, UnsealingLeavesNoCopy) {
  ASSERT_OK_AND_ASSIGN(SecretBytes secret, SecretBytes::Random(32, rng_));
  const Needle needle(secret);
  ASSERT_OK_AND_ASSIGN(const Bytes blob, custodian_->sealer().Seal(secret, {}));
  ASSERT_OK_AND_ASSIGN(SecretBytes opened, custodian_->sealer().Unseal(blob, {}));
  EXPECT_TRUE(opened.Equals(secret.RevealSecret()));
  secret.Wipe();
  opened.Wipe();
  EXPECT_EQ(CopiesInMemory(needle), 0);
}

TEST_F(MemoryTest, AMasterKeyLeavesNoCopyOnItsWayInOrOut) {
  constexpr KeyId kId = {1};
  const PolicySigner authority;
  ASSERT_OK_AND_ASSIGN(const PublicKey key, authority.public_key());
  ASSERT_OK_AND_ASSIGN(const PcrValues pcrs, custodian_->attester()->ReadPcrs({0}));
  ASSERT_OK_AND_ASSIGN(const SignedPcrPolicy policy, authority.Sign(pcrs));
  ASSERT_OK_AND_ASSIGN(SecretBytes master, SecretBytes::Random(kMasterKeySize, rng_));
  const Needle needle(master);
  ASSERT_OK_AND_ASSIGN(const Bytes record,
                       custodian_->master_sealer().SealMaster(kId, master, key));
  master.Wipe();
  EXPECT_EQ(CopiesInMemory(needle), 0);

  ASSERT_OK_AND_ASSIGN(SecretBytes opened, custodian_->master_sealer().UnsealMaster(
                                               kId, record, std::span(&policy, 1)));
  EXPECT_EQ(needle.CountIn(opened.RevealSecret()), 1);
  opened.Wipe();
  EXPECT_EQ(CopiesInMemory(needle), 0);
}

}  // namespace
}  // namespace keyward::tpm
