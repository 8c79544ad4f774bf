#include "tpm/master_record.h"

#include "core/master_sealer.h"
#include "tests/support/matchers.h"
#include "tests/unit/tpm/policy_signer.h"

namespace keyward::tpm {
namespace {

using testing_support::FailsWith;

constexpr KeyId kId = {1, 2, 3};
const Bytes kName(34, 0x11);

class MasterRecordTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const PolicySigner signer;
    ASSERT_OK_AND_ASSIGN(authority_, signer.public_key());
    ASSERT_OK_AND_ASSIGN(master_, SecretBytes::Random(kMasterKeySize, rng_));
    ASSERT_OK_AND_ASSIGN(record_, EncodeMasterRecord(kId, kName, *authority_, master_));
  }

  SystemRng rng_;
  std::optional<PublicKey> authority_;
  SecretBytes master_;
  Bytes record_;
};

TEST_F(MasterRecordTest, ReadsBackAsItWasWritten) {
  EXPECT_LE(record_.size(), kMaxMasterRecord);
  ASSERT_OK_AND_ASSIGN(const MasterRecord record, DecodeMasterRecord(record_));
  EXPECT_EQ(record.index_name, kName);
  EXPECT_EQ(record.authority, *authority_);
  EXPECT_OK(CheckMasterRecord(kId, record_, master_));
}

TEST_F(MasterRecordTest, EveryTruncationAndEveryByteTooManyIsRefused) {
  for (size_t size = 0; size < record_.size(); ++size) {
    EXPECT_THAT(DecodeMasterRecord(ByteView(record_).first(size)), FailsWith(ErrorCode::kMalformed))
        << size;
  }
  record_.push_back(0);
  EXPECT_THAT(DecodeMasterRecord(record_), FailsWith(ErrorCode::kMalformed));
}

TEST_F(MasterRecordTest, AnyFlippedBitIsNoticed) {
  for (size_t bit = 0; bit < 8 * record_.size(); ++bit) {
    Bytes changed = record_;
    changed[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    EXPECT_THAT(CheckMasterRecord(kId, changed, master_),
                FailsWith(ErrorCode::kAuthenticationFailed))
        << "bit " << bit;
  }
}

TEST_F(MasterRecordTest, BelongsToOneIdAndOneKey) {
  EXPECT_THAT(CheckMasterRecord({}, record_, master_), FailsWith(ErrorCode::kAuthenticationFailed));
  ASSERT_OK_AND_ASSIGN(const SecretBytes other, SecretBytes::Random(kMasterKeySize, rng_));
  EXPECT_THAT(CheckMasterRecord(kId, record_, other), FailsWith(ErrorCode::kAuthenticationFailed));
}

}  // namespace
}  // namespace keyward::tpm
