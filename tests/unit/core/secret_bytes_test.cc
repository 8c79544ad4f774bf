#include "core/secret_bytes.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "core/secret_memory.h"
#include "tests/support/matchers.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

TEST(SecretBytesTest, MovedFromIsEmptyAndTheBytesMoveAlong) {
  ASSERT_OK_AND_ASSIGN(SecretBytes first, SecretBytes::CopyOf(AsBytes("secret")));
  const SecretBytes second = std::move(first);
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): that is the contract
  EXPECT_TRUE(second.Equals(AsBytes("secret")));
  EXPECT_FALSE(second.Equals(AsBytes("secre!")));
  EXPECT_FALSE(second.Equals(AsBytes("secrets")));
}

TEST(SecretBytesTest, ACloneOutlivesItsOriginal) {
  ASSERT_OK_AND_ASSIGN(SecretBytes original, SecretBytes::CopyOf(AsBytes("secret")));
  ASSERT_OK_AND_ASSIGN(const SecretBytes clone, original.Clone());
  original.Wipe();
  EXPECT_TRUE(clone.Equals(AsBytes("secret")));
}

TEST(SecretBytesTest, TakeFromWipesItsSource) {
  Bytes source = ToBytes(AsBytes("0123456789"));
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::TakeFrom(source));
  EXPECT_TRUE(std::ranges::all_of(source, [](uint8_t b) { return b == 0; }));
  EXPECT_TRUE(secret.Equals(AsBytes("0123456789")));
}

TEST(SecretBytesTest, FreedMemoryIsZero) {
  const uint8_t* where = nullptr;
  {
    ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::CopyOf(AsBytes("wipe me now")));
    where = secret.RevealSecret().data();
  }
  EXPECT_TRUE(std::all_of(where, where + 11, [](uint8_t b) { return b == 0; }));
}

TEST(SecretBytesTest, RefusesWhatNoSlotHolds) {
  EXPECT_THAT(SecretBytes::Create(0), FailsWith(ErrorCode::kTooLarge));
  EXPECT_THAT(SecretBytes::Create(kMaxSecretSize + 1), FailsWith(ErrorCode::kTooLarge));
  EXPECT_OK(SecretBytes::Create(kMaxSecretSize));
}

TEST(SecretBytesTest, UseIsCountedAndGivenBack) {
  const size_t before = GetSecretMemoryUse().used;
  {
    ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Create(100));
    EXPECT_EQ(GetSecretMemoryUse().used, before + 128);
  }
  EXPECT_EQ(GetSecretMemoryUse().used, before);
}

TEST(SecretBytesTest, ProcSelfMemCannotReadSecretPages) {
  ASSERT_OK_AND_ASSIGN(const SecretMemoryKind kind, ProbeSecretMemory());
  if (kind != SecretMemoryKind::kMemfdSecret) {
    GTEST_SKIP() << "LOUD SKIP: this kernel has no memfd_secret; locked pages are readable by root";
  }
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::CopyOf(AsBytes("hidden")));
  const int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  char byte = 0;
  const auto where = reinterpret_cast<off_t>(secret.RevealSecret().data());
  EXPECT_EQ(pread(fd, &byte, 1, where), -1);
  close(fd);
}

TEST(SecretBytesTest, AForkedChildHasNoSecrets) {
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::CopyOf(AsBytes("parent only")));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // write(2) from an unmapped page is EFAULT, which is what the child must see.
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int pipe_ends[2];
    const bool readable = pipe(pipe_ends) == 0 && null >= 0 &&
                          write(pipe_ends[1], secret.RevealSecret().data(), 1) == 1;
    _exit(readable ? 1 : 0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace keyward
