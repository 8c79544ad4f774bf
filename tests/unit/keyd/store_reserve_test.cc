#include "keyd/store_reserve.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;
using testing_support::TempDir;

constexpr uint64_t kPieces = StoreReserve::kBytes / StoreReserve::kPiece;

class StoreReserveTest : public ::testing::Test {
 protected:
  std::string file() const { return folder_.File("reserve"); }
  struct stat Status() const {
    struct stat status{};
    EXPECT_EQ(lstat(file().c_str(), &status), 0);
    return status;
  }
  // What the file takes up on disk.
  uint64_t Space() const { return static_cast<uint64_t>(Status().st_blocks) * 512; }

  TempDir folder_;
  StoreReserve reserve_{file()};
};

TEST_F(StoreReserveTest, SetsSpaceAsideForItsOwnerAlone) {
  EXPECT_THAT(reserve_.Size(), IsOkAndHolds(0U));
  reserve_.Fill();
  EXPECT_THAT(reserve_.Size(), IsOkAndHolds(StoreReserve::kBytes));
  EXPECT_GE(Space(), StoreReserve::kBytes);
  EXPECT_EQ(Status().st_mode & 07777, 0600U);
}

TEST_F(StoreReserveTest, IsGivenUpPieceByPieceAndMadeAgain) {
  reserve_.Fill();
  for (uint64_t left = kPieces; left > 0; --left) {
    EXPECT_THAT(reserve_.Size(), IsOkAndHolds(left * StoreReserve::kPiece));
    EXPECT_THAT(reserve_.GiveUp(), IsOkAndHolds(true));
  }
  EXPECT_LT(Space(), StoreReserve::kPiece);
  EXPECT_THAT(reserve_.GiveUp(), IsOkAndHolds(false));
  reserve_.Fill();
  EXPECT_GE(Space(), StoreReserve::kBytes);
}

TEST_F(StoreReserveTest, GivesUpNothingWhereNothingIs) {
  EXPECT_THAT(reserve_.GiveUp(), IsOkAndHolds(false));
  reserve_.Fill();
  ASSERT_TRUE(std::filesystem::remove(file()));
  EXPECT_THAT(reserve_.GiveUp(), IsOkAndHolds(false));
  reserve_.Fill();
  EXPECT_GE(Space(), StoreReserve::kBytes);
}

// As a copy of the state directory may have it.
TEST_F(StoreReserveTest, AFileOfHolesIsFilled) {
  std::ofstream(file()).put('x');
  std::filesystem::resize_file(file(), StoreReserve::kBytes);
  ASSERT_LT(Space(), StoreReserve::kBytes);
  reserve_.Fill();
  EXPECT_GE(Space(), StoreReserve::kBytes);
}

TEST_F(StoreReserveTest, LeavesAloneWhatIsNoFile) {
  const std::string other = folder_.File("other");
  std::ofstream(other) << "somebody's";
  std::filesystem::create_symlink(other, file());
  reserve_.Fill();
  EXPECT_THAT(reserve_.GiveUp(), FailsWith(ErrorCode::kIo));
  EXPECT_EQ(std::filesystem::file_size(other), 10U);
  std::filesystem::remove(file());
  ASSERT_EQ(mkfifo(file().c_str(), 0600), 0);
  reserve_.Fill();
  EXPECT_THAT(reserve_.GiveUp(), FailsWith(ErrorCode::kIo));
}

}  // namespace
}  // namespace keyward
