#include "keyd/restore_mark.h"

#include <fstream>

#include "keyd/master_record.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

const RestoreMark kMark{.id = "000102030405060708090a0b0c0d0e0f",
                        .created = WallTime(std::chrono::milliseconds(1'750'000'000'123)),
                        .epoch = 42};

class RestoreMarkTest : public ::testing::Test {
 protected:
  Result<std::optional<RestoreMark>> Read() const { return ReadRestoreMark(state_.path()); }
  bool IsThere() const { return Read().value().has_value(); }

  testing_support::TempDir state_;
};

TEST_F(RestoreMarkTest, WhatIsWrittenIsReadUntilItIsRemoved) {
  EXPECT_FALSE(IsThere());
  ASSERT_OK(WriteRestoreMark(state_.path(), kMark));
  ASSERT_OK_AND_ASSIGN(const std::optional<RestoreMark> mark, Read());
  ASSERT_TRUE(mark);
  EXPECT_EQ(mark->id, kMark.id);
  EXPECT_EQ(mark->created, kMark.created);
  EXPECT_EQ(mark->epoch, kMark.epoch);
  ASSERT_OK(RemoveRestoreMark(state_.path()));
  EXPECT_FALSE(IsThere());
}

TEST_F(RestoreMarkTest, SomethingElseIsNoMark) {
  for (const char* text : {"", "00010203 1 2", "000102030405060708090a0b0c0d0e0f 1",
                           "000102030405060708090a0b0c0d0exx 1 2"}) {
    std::ofstream(state_.File("restored")) << text;
    EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed)) << text;
  }
}

TEST_F(RestoreMarkTest, OneOfAMasterKeyThatWasMadeStays) {
  ASSERT_OK(WriteRestoreMark(state_.path(), kMark));
  std::ofstream(state_.File(kMasterFile)) << "made";
  ASSERT_OK(RemoveRestoreMarkUnlessMade(state_.path()));
  EXPECT_TRUE(IsThere());
  ASSERT_TRUE(std::filesystem::remove(state_.File(kMasterFile)));
  ASSERT_OK(RemoveRestoreMarkUnlessMade(state_.path()));
  EXPECT_FALSE(IsThere());
}

}  // namespace
}  // namespace keyward
