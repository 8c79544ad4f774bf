#include "keyd/master_record.h"

#include "core/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

MasterRecord Record() {
  return {.custodian = "tpm",
          .seal = {1},
          .counter = {2},
          .check = Bytes(32, 3),
          .authority = {4, 5},
          .record = Bytes(100, 6)};
}

TEST(MasterRecordTest, ReadsBackWhatItWrote) {
  ASSERT_OK_AND_ASSIGN(const MasterRecord read, DecodeMasterRecord(Encode(Record())));
  EXPECT_EQ(read.custodian, "tpm");
  EXPECT_EQ(read.seal, Record().seal);
  EXPECT_EQ(read.counter, Record().counter);
  EXPECT_EQ(read.check, Record().check);
  EXPECT_EQ(read.authority, Record().authority);
  EXPECT_EQ(read.record, Record().record);
}

TEST(MasterRecordTest, RefusesEveryTruncationAndWhateverFollows) {
  Bytes bytes = Encode(Record());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(DecodeMasterRecord(ByteView(bytes).first(size)), FailsWith(ErrorCode::kDataCorrupt))
        << size;
  }
  bytes.push_back(0);
  EXPECT_THAT(DecodeMasterRecord(bytes), FailsWith(ErrorCode::kDataCorrupt));
}

TEST(MasterRecordTest, RefusesAnotherVersionAndACustodianThatItDoesNotKnow) {
  Bytes bytes = Encode(Record());
  bytes.at(4) = 2;
  EXPECT_THAT(DecodeMasterRecord(bytes), FailsWith(ErrorCode::kDataCorrupt));
  MasterRecord record = Record();
  record.custodian = "../hsm";
  EXPECT_THAT(DecodeMasterRecord(Encode(record)), FailsWith(ErrorCode::kDataCorrupt));
}

TEST(MasterRecordTest, AFileMayBeMissingButNotTooLarge) {
  const testing_support::TempDir directory;
  const std::string path = directory.File(kMasterFile);
  ASSERT_OK_AND_ASSIGN(const std::optional<MasterRecord> none, ReadMasterRecord(path));
  EXPECT_FALSE(none);
  ASSERT_OK(ReplaceFile(path, Bytes(kMaxMasterFile + 1)));
  EXPECT_THAT(ReadMasterRecord(path), FailsWith(ErrorCode::kDataCorrupt));
  ASSERT_OK(ReplaceFile(path, Encode(Record())));
  ASSERT_OK_AND_ASSIGN(const std::optional<MasterRecord> read, ReadMasterRecord(path));
  EXPECT_TRUE(read);
}

}  // namespace
}  // namespace keyward
