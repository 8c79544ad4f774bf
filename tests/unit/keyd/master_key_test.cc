#include "keyd/master_key.h"

#include <numeric>

#include "core/encoding.h"
#include "tests/support/matchers.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

Result<MasterKey> CountingKey() {
  Bytes bytes(kMasterKeySize);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  KEYWARD_ASSIGN(SecretBytes secret, SecretBytes::TakeFrom(bytes));
  return MasterKey::FromBytes(std::move(secret));
}

// From Python's hashlib: blake2b(b"", digest_size=32, key=bytes(range(32)), person=b"KeywardM",
// salt=ID.to_bytes(8, "little")).
TEST(MasterKeyTest, SubkeysAreThoseOfTheDocumentedKdf) {
  ASSERT_OK_AND_ASSIGN(const MasterKey master, CountingKey());
  for (const auto& [subkey, hex] :
       {std::pair(Subkey::kStoreMac,
                  "90139ca32af0a2c9e95265f286bbc5c66b5a3c19cc19cfedeb9de8a9b2195543"),
        std::pair(Subkey::kWrapping,
                  "7caa90cbd8e7197bd225dea826ae0cdc06d6af887b7c945045050195546e3261"),
        std::pair(Subkey::kToken,
                  "e6114dbc4243d2ef3f4876086f1eb62cbecf86e55ec2b8c9975e33e87396d375"),
        std::pair(Subkey::kTransport,
                  "7d3754ff043c44837cb3534343c88d02cc66d448304e34c8ff0a6759476b73d4"),
        std::pair(Subkey::kBackup,
                  "1d0a95e2911cbc7ef1de59624f86444c7ea3e6b6c14d0da81e282100a8da3e40"),
        std::pair(Subkey::kCheck,
                  "c2749368ad64febb11c48ba6fd84e50ded5d2f4908bdf78e44eebd6f7a6721f7")}) {
    ASSERT_OK_AND_ASSIGN(const SecretBytes derived, master.Derive(subkey));
    EXPECT_EQ(ToHex(derived.RevealSecret()), hex);
  }
}

TEST(MasterKeyTest, HasOneSize) {
  SystemRng rng;
  EXPECT_THAT(MasterKey::FromBytes(SecretBytes::Random(kMasterKeySize - 1, rng).value()),
              FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_THAT(MasterKey::FromBytes(SecretBytes()), FailsWith(ErrorCode::kDataCorrupt));
}

}  // namespace
}  // namespace keyward
