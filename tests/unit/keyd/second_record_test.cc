#include "keyd/second_record.h"

#include "core/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

MasterKey SomeMaster(uint8_t byte = 7) {
  return MasterKey::FromBytes(SecretBytes::CopyOf(Bytes(kMasterKeySize, byte)).value()).value();
}

SecondSeal Sample(const std::string& place, Bytes holder) {
  const MasterKey master = SomeMaster();
  SecondSeal seal{.place = place,
                  .made = WallTime(std::chrono::milliseconds(1'750'000'000'123)),
                  .check = ToBytes(master.Derive(Subkey::kCheck).value().RevealSecret()),
                  .holder = std::move(holder),
                  .sealed = {1, 2, 3},
                  .mac = {}};
  EXPECT_OK(Authenticate(seal, master));
  return seal;
}

class SecondRecordTest : public ::testing::Test {
 protected:
  const std::vector<SecondSeal> samples_ = {Sample("hsm", {}), Sample("tpm", {4, 5}),
                                            Sample("recovery", Bytes(32, 6))};
};

TEST_F(SecondRecordTest, ReadsWhatWasWrittenAndKnowsItsMasterKey) {
  for (const SecondSeal& seal : samples_) {
    const Bytes file = Encode(seal);
    ASSERT_OK_AND_ASSIGN(const SecondSeal read, DecodeSecondSeal(file));
    EXPECT_EQ(read.place, seal.place);
    EXPECT_EQ(read.made, seal.made);
    EXPECT_EQ(Encode(read), file);
    EXPECT_OK(CheckSecondSeal(read, SomeMaster()));
    EXPECT_THAT(CheckSecondSeal(read, SomeMaster(8)), FailsWith(ErrorCode::kDataCorrupt));
  }
}

TEST_F(SecondRecordTest, NoBitCanBeFlipped) {
  for (const SecondSeal& seal : samples_) {
    const Bytes file = Encode(seal);
    for (size_t bit = 0; bit < file.size() * 8; ++bit) {
      Bytes altered = file;
      altered[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
      const Result<SecondSeal> read = DecodeSecondSeal(altered);
      EXPECT_THAT(read ? CheckSecondSeal(*read, SomeMaster()) : Fail(read.error()),
                  FailsWith(ErrorCode::kDataCorrupt))
          << bit;
    }
  }
}

TEST_F(SecondRecordTest, RefusesWhatIsCutShortOrTooLong) {
  Bytes file = Encode(samples_[1]);
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_THAT(DecodeSecondSeal(ByteView(file).first(size)), FailsWith(ErrorCode::kDataCorrupt));
  }
  file.push_back(0);
  EXPECT_THAT(DecodeSecondSeal(file), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(SecondRecordTest, RefusesAHolderThatDoesNotFitItsPlace) {
  for (const auto& [place, size] : std::vector<std::pair<std::string, size_t>>{
           {"hsm", 1}, {"tpm", 0}, {"recovery", 31}, {"disk", 0}, {"", 0}}) {
    EXPECT_THAT(DecodeSecondSeal(Encode(Sample(place, Bytes(size, 1)))),
                FailsWith(ErrorCode::kDataCorrupt))
        << place;
  }
}

TEST_F(SecondRecordTest, IsBounded) {
  SecondSeal large = samples_[0];
  large.sealed.resize(kMaxSecondFile);
  EXPECT_THAT(Authenticate(large, SomeMaster()), FailsWith(ErrorCode::kTooLarge));
  const testing_support::TempDir folder;
  EXPECT_FALSE(ReadSecondSeal(folder.path()).value().has_value());
  ASSERT_OK(ReplaceFile(folder.path() / kSecondFile, Bytes(kMaxSecondFile + 1)));
  EXPECT_THAT(ReadSecondSeal(folder.path()), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(SecondRecordTest, ItsNameInTheHardwareFollowsFromTheMasterKey) {
  EXPECT_EQ(SecondSealId(samples_[0].check), SecondSealId(samples_[2].check));
  EXPECT_NE(SecondSealId(samples_[0].check), SecondSealId(Bytes(32, 1)));
}

}  // namespace
}  // namespace keyward
