#include "core/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

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

TEST_F(FileTest, DraftsOfWritersThatWereKilledAreRemoved) {
  const pid_t writer = fork();
  ASSERT_GE(writer, 0);
  if (writer == 0) {  // ended by the system, as it may not write so much
    constexpr rlimit kNoDump{0, 0};
    constexpr rlimit kOneByte{1, 1};
    if (setrlimit(RLIMIT_CORE, &kNoDump) != 0 || setrlimit(RLIMIT_FSIZE, &kOneByte) != 0) _exit(2);
    const Result<void> written = ReplaceFile(File(), AsBytes("more than one byte"));
    _exit(written ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(writer, &status, 0), writer);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(FilesThere(), 1U);
  ASSERT_OK(ReplaceFile(directory_.File("other"), AsBytes("whole")));
  EXPECT_THAT(RemoveDrafts(File().parent_path()), IsOkAndHolds(1U));
  EXPECT_EQ(FilesThere(), 1U);
  EXPECT_TRUE(fs::exists(directory_.File("other")));
  EXPECT_THAT(RemoveDrafts(File().parent_path()), IsOkAndHolds(0U));
}

TEST_F(FileTest, NothingButDraftsIsRemoved) {
  const std::array others = {"file",
                             "file.second",
                             "file.draft.12345",
                             ".draft.123456",
                             "file.draft.1234567",
                             "file.draft.12-456",
                             "filedraft.abcdef"};
  for (const char* other : others) std::ofstream(directory_.File(other)) << "whole";
  fs::create_directory(directory_.File("file.draft.folder"));
  fs::create_symlink("file", directory_.File("file.draft.a1inks"));
  ASSERT_EQ(mkfifo(directory_.File("file.draft.apiped").c_str(), 0600), 0);
  EXPECT_THAT(RemoveDrafts(File().parent_path()), IsOkAndHolds(0U));
  EXPECT_EQ(FilesThere(), others.size() + 3);
}

TEST_F(FileTest, DraftsAreNotSoughtInAFolderThatIsMissing) {
  EXPECT_THAT(RemoveDrafts("/nonexistent/folder"), FailsWith(ErrorCode::kIo));
}

TEST_F(FileTest, RemovedIsGone) {
  ASSERT_OK(ReplaceFile(File(), AsBytes("x")));
  ASSERT_OK(RemoveFile(File()));
  EXPECT_EQ(FilesThere(), 0U);
}

}  // namespace
}  // namespace keyward
