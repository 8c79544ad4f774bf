#include "keyd/process.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

class ProcessTest : public ::testing::Test {
 protected:
  testing_support::TempDir directory_;
};

TEST_F(ProcessTest, ADirectoryIsLockedByOneAtATime) {
  ASSERT_OK_AND_ASSIGN(UniqueFd lock, LockDirectory(directory_.path()));
  EXPECT_THAT(LockDirectory(directory_.path()), FailsWith(ErrorCode::kAlreadyExists));
  lock.Reset();
  EXPECT_OK(LockDirectory(directory_.path()));
}

TEST_F(ProcessTest, ADirectoryThatOthersMayEnterIsRefused) {
  for (const mode_t mode : {0750U, 0701U, 0777U}) {
    ASSERT_EQ(chmod(directory_.path().c_str(), mode), 0);
    EXPECT_THAT(LockDirectory(directory_.path()), FailsWith(ErrorCode::kConfiguration)) << mode;
  }
}

TEST_F(ProcessTest, WhatIsNoDirectoryIsNotLocked) {
  EXPECT_THAT(LockDirectory(directory_.File("missing")), FailsWith(ErrorCode::kIo));
  std::ofstream(directory_.File("file")) << "text";
  EXPECT_THAT(LockDirectory(directory_.File("file")), FailsWith(ErrorCode::kIo));
  std::filesystem::create_directory_symlink(directory_.path(), directory_.File("link"));
  EXPECT_THAT(LockDirectory(directory_.File("link")), FailsWith(ErrorCode::kIo));
}

TEST_F(ProcessTest, ATextFileIsReadUpToItsLimit) {
  std::ofstream(directory_.File("file")) << "12345";
  EXPECT_THAT(ReadTextFile(directory_.File("file"), 5), IsOkAndHolds("12345"));
  EXPECT_THAT(ReadTextFile(directory_.File("file"), 4), FailsWith(ErrorCode::kTooLarge));
  EXPECT_THAT(ReadTextFile(directory_.File("missing"), 4), FailsWith(ErrorCode::kIo));
  EXPECT_THAT(ReadTextFile(directory_.path(), 4), FailsWith(ErrorCode::kIo));
}

TEST_F(ProcessTest, APipeInPlaceOfATextFileIsNotWaitedFor) {
  ASSERT_EQ(mkfifo(directory_.File("pipe").c_str(), 0600), 0);
  EXPECT_THAT(ReadTextFile(directory_.File("pipe"), 5), IsOkAndHolds(""));
  const UniqueFd writer(open(directory_.File("pipe").c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_THAT(ReadTextFile(directory_.File("pipe"), 5), FailsWith(ErrorCode::kIo));
}

}  // namespace
}  // namespace keyward
