#include "keyd/former_home.h"

#include "core/file.h"
#include "keyd/second_record.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

const HardwareParts kOld = {"tpm", {1, 2}, {3, 4}};

MasterKey SomeMaster(uint8_t byte = 7) {
  return MasterKey::FromBytes(SecretBytes::CopyOf(Bytes(kMasterKeySize, byte)).value()).value();
}

MasterRecord Now() {
  return {.custodian = "hsm",
          .seal = {5},
          .counter = {6},
          .check = ToBytes(SomeMaster().Derive(Subkey::kCheck).value().RevealSecret()),
          .authority = {},
          .record = {}};
}

FormerHome Former(const HardwareParts& parts = kOld) {
  return MakeFormerHome(parts, SomeMaster()).value();
}

TEST(FormerHomeTest, ReadsWhatWasWrittenAndKnowsItsMasterKey) {
  const Bytes file = Encode(Former());
  ASSERT_OK_AND_ASSIGN(const FormerHome read, DecodeFormerHome(file));
  EXPECT_EQ(read.parts, kOld);
  EXPECT_EQ(Encode(read), file);
  EXPECT_OK(CheckFormerHome(read, Now(), SomeMaster()));
  EXPECT_THAT(CheckFormerHome(read, Now(), SomeMaster(8)), FailsWith(ErrorCode::kDataCorrupt));
}

TEST(FormerHomeTest, NoBitCanBeFlipped) {
  const Bytes file = Encode(Former());
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    Bytes altered = file;
    altered[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
    const Result<FormerHome> read = DecodeFormerHome(altered);
    EXPECT_THAT(read ? CheckFormerHome(*read, Now(), SomeMaster()) : Fail(read.error()),
                FailsWith(ErrorCode::kDataCorrupt))
        << bit;
  }
}

TEST(FormerHomeTest, RefusesWhatIsCutShortOrTooLong) {
  Bytes file = Encode(Former());
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_THAT(DecodeFormerHome(ByteView(file).first(size)), FailsWith(ErrorCode::kDataCorrupt));
  }
  file.push_back(0);
  EXPECT_THAT(DecodeFormerHome(file), FailsWith(ErrorCode::kDataCorrupt));
}

TEST(FormerHomeTest, WhatIsInUseIsNoFormerHomeWhoeverSaysSo) {
  const MasterRecord now = Now();
  const KeyId other = {9};
  for (const HardwareParts& parts :
       std::vector<HardwareParts>{{"hsm", now.seal, other},
                                  {"hsm", other, now.counter},
                                  {"tpm", now.seal, now.counter},
                                  {"tpm", SecondSealId(now.check), other}}) {
    EXPECT_THAT(CheckFormerHome(Former(parts), now, SomeMaster()),
                FailsWith(ErrorCode::kDataCorrupt));
  }
}

TEST(FormerHomeTest, TheHomeOfNowCameToNothing) {
  const MasterRecord now = Now();
  EXPECT_OK(CheckFormerHome(Former(PartsOf(now)), now, SomeMaster()));
  EXPECT_TRUE(CameToNothing(Former(PartsOf(now)), now));
  EXPECT_FALSE(CameToNothing(Former(), now));
}

TEST(FormerHomeTest, IsBoundedAndOfACustodian) {
  EXPECT_THAT(DecodeFormerHome(Encode(Former({"disk", {1}, {2}}))),
              FailsWith(ErrorCode::kDataCorrupt));
  const testing_support::TempDir folder;
  EXPECT_FALSE(ReadFormerHome(folder.path()).value().has_value());
  ASSERT_OK(ReplaceFile(folder.path() / kMasterFormer, Bytes(kMaxFormerFile + 1)));
  EXPECT_THAT(ReadFormerHome(folder.path()), FailsWith(ErrorCode::kDataCorrupt));
}

}  // namespace
}  // namespace keyward
