#include "keyd/log.h"

#include <gtest/gtest.h>

namespace keyward {
namespace {

std::string LoggedOf(const Error& error) {
  testing::internal::CaptureStderr();
  LogError("reading", error);
  return testing::internal::GetCapturedStderr();
}

TEST(LogTest, AnErrorIsOneLineWithItsCauseIfThereIsOne) {
  const Error error(ErrorCode::kIo, "the file is gone");
  EXPECT_EQ(LoggedOf(error), "<4>keyd: reading: Io: the file is gone (try again later)\n");
  EXPECT_EQ(LoggedOf(Error(error).WithCause("ENOENT")),
            "<4>keyd: reading: Io: the file is gone (try again later) [ENOENT]\n");
}

TEST(LogTest, ATextFromOutsideCannotWriteALineOfItsOwn) {
  const Error error = Error(ErrorCode::kIo, "why").WithCause("a\n<3>keyd: forged\x1b[2J");
  EXPECT_EQ(LoggedOf(error),
            "<4>keyd: reading: Io: why (try again later) [a?<3>keyd: forged?[2J]\n");
}

TEST(LogTest, ATextOfAnyBytesCanBeRead) {
  const Error error = Error(ErrorCode::kIo, "why").WithCause("a \xee\xff\x7f b\xc2\x9b");
  EXPECT_EQ(LoggedOf(error), "<4>keyd: reading: Io: why (try again later) [a ??? b??]\n");
}

}  // namespace
}  // namespace keyward
