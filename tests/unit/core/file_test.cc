#include "core/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

namespace fs = std::filesystem;

class FileTest : public ::testing::Test {
 protected:
  fs::path File() { return directory_.File("file"); }
  size_t FilesThere() {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(File().parent_path()), fs::directory_iterator()));
  }

  testing_support::TempDir directory_;
};

TEST_F(FileTest, WhatIsReplacedIsReadBack) {
  for (const std::string_view text : {"first", "", "second, and longer"}) {
    ASSERT_OK(ReplaceFile(File(), AsBytes(text)));
    ASSERT_OK_AND_ASSIGN(const std::optional<Bytes> read, ReadFile(File(), 100));
    ASSERT_TRUE(read);
    EXPECT_EQ(AsText(*read), text);
  }
  EXPECT_EQ(FilesThere(), 1U);
  struct stat info{};
  ASSERT_EQ(stat(File().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(FileTest, AFileThatIsMissingIsNoError) {
  ASSERT_OK_AND_ASSIGN(const std::optional<Bytes> read, ReadFile(File(), 100));
  EXPECT_FALSE(read);
  EXPECT_OK(RemoveFile(File()));
}

TEST_F(FileTest, CreateLeavesAFileThatIsThere) {
  ASSERT_OK_AND_ASSIGN(const bool first, CreateFile(File(), AsBytes("one")));
  EXPECT_TRUE(first);
  ASSERT_OK_AND_ASSIGN(const bool second, CreateFile(File(), AsBytes("two")));
  EXPECT_FALSE(second);
  ASSERT_OK_AND_ASSIGN(const std::optional<Bytes> read, ReadFile(File(), 100));
  ASSERT_TRUE(read);
  EXPECT_EQ(AsText(*read), "one");
  EXPECT_EQ(FilesThere(), 1U);
}

TEST_F(FileTest, ReadingIsBounded) {
  ASSERT_OK(ReplaceFile(File(), Bytes(100, 1)));
  EXPECT_OK(ReadFile(File(), 100));
  EXPECT_THAT(ReadFile(File(), 99), FailsWith(ErrorCode::kTooLarge));
}

TEST_F(FileTest, APipeThatNobodyWritesToIsEmpty) {
  ASSERT_EQ(mkfifo(File().c_str(), 0600), 0);
  ASSERT_OK_AND_ASSIGN(const std::optional<Bytes> read, ReadFile(File(), 100));
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->empty());
}

TEST_F(FileTest, AFolderThatIsMissingIsAnErrorThatNamesIt) {
  const Result<void> written = ReplaceFile("/nonexistent/folder/file", AsBytes("x"));
  ASSERT_THAT(written, FailsWith(ErrorCode::kIo));
  EXPECT_NE(written.error().cause().find("/nonexistent/folder/file"), std::string::npos);
  EXPECT_EQ(written.error().message().find('/'), std::string::npos);
}

TEST_F(FileTest, RemovedIsGone) {
  ASSERT_OK(ReplaceFile(File(), AsBytes("x")));
  ASSERT_OK(RemoveFile(File()));
  EXPECT_EQ(FilesThere(), 0U);
}

}  // namespace
}  // namespace keyward
