#include "keyd/audit_tail.h"

#include <sys/stat.h>

#include <filesystem>

#include "core/encoding.h"
#include "core/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

SecretBytes SomeKey(uint8_t byte = 7) { return SecretBytes::CopyOf(Bytes(32, byte)).value(); }

audit::End SomeEnd(uint64_t seq = 3) {
  audit::End end{};
  end.log.fill(1);
  end.head.seq = seq;
  end.head.hash.fill(2);
  return end;
}

class AuditTailTest : public ::testing::Test {
 protected:
  Result<audit::End> Read(const SecretBytes& key = SomeKey()) const {
    return ReadAuditTail(state_.path(), key);
  }
  std::string Path() const { return state_.File(kAuditTailFile); }
  Bytes Contents() const { return ReadFile(Path(), 4096).value().value(); }
  Result<AuditTailFile> Make() const {
    return AuditTailFile::Make(state_.path(), SomeKey(), SomeEnd());
  }

  testing_support::TempDir state_;
};

TEST_F(AuditTailTest, HasTheFormThatIsSpecified) {
  ASSERT_OK_AND_ASSIGN(const AuditTail tail, Authenticated(SomeEnd(), SomeKey()));
  const Bytes bytes = Encode(tail);
  ASSERT_EQ(bytes.size(), kAuditTailSize);
  const std::string head = ToHex(ByteView(bytes).first(29));
  EXPECT_EQ(head, "4b57415401" + ToHex(Bytes(16, 1)) + "0000000000000003");
  ASSERT_OK_AND_ASSIGN(const AuditTail read, DecodeAuditTail(bytes));
  EXPECT_EQ(read.end.log, tail.end.log);
  EXPECT_EQ(read.end.head, tail.end.head);
  EXPECT_EQ(Encode(read), bytes);
}

TEST_F(AuditTailTest, TellsTheRecordThatWasWrittenLast) {
  ASSERT_OK_AND_ASSIGN(AuditTailFile file, Make());
  EXPECT_EQ(Read()->head, SomeEnd().head);
  struct stat info{};
  ASSERT_EQ(stat(Path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  ASSERT_OK(file.Write(SomeEnd(4).head));
  EXPECT_EQ(Read()->head, SomeEnd(4).head);
  EXPECT_OK(file.Sync());
  ASSERT_OK_AND_ASSIGN(AuditTailFile next,
                       AuditTailFile::GoOn(state_.path(), SomeKey(), SomeEnd(5)));
  ASSERT_OK(next.Write(SomeEnd(6).head));
  EXPECT_EQ(Read()->head, SomeEnd(6).head);
  EXPECT_EQ(Read()->log, SomeEnd().log);
  EXPECT_EQ(Contents().size(), kAuditTailSize);
}

TEST_F(AuditTailTest, NoBitOfItCanBeFlipped) {
  ASSERT_OK(Make());
  const Bytes whole = Contents();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes altered = whole;
    altered[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
    ASSERT_OK(ReplaceFile(Path(), altered));
    EXPECT_THAT(Read(), FailsWith(ErrorCode::kDataCorrupt)) << bit;
  }
}

TEST_F(AuditTailTest, WhatIsShortLongOrAnothersIsRefused) {
  ASSERT_OK(Make());
  EXPECT_THAT(Read(SomeKey(8)), FailsWith(ErrorCode::kDataCorrupt));
  const Bytes whole = Contents();
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_OK(ReplaceFile(Path(), ByteView(whole).first(size)));
    EXPECT_THAT(Read(), FailsWith(ErrorCode::kDataCorrupt)) << size;
  }
  Bytes longer = whole;
  longer.push_back(0);
  ASSERT_OK(ReplaceFile(Path(), longer));
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(AuditTailTest, OneThatIsMissingIsToldApart) {
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kRolledBack));
  EXPECT_THAT(AuditTailFile::GoOn(state_.path(), SomeKey(), SomeEnd()), FailsWith(ErrorCode::kIo));
  EXPECT_FALSE(std::filesystem::exists(Path()));
}

TEST_F(AuditTailTest, NothingIsWrittenThroughALink) {
  ASSERT_OK(Make());
  std::filesystem::rename(Path(), state_.File("elsewhere"));
  std::filesystem::create_symlink(state_.File("elsewhere"), Path());
  EXPECT_THAT(AuditTailFile::GoOn(state_.path(), SomeKey(), SomeEnd()), FailsWith(ErrorCode::kIo));
}

TEST_F(AuditTailTest, WithoutAKeyThereIsNone) {
  EXPECT_THAT(AuditTailFile::Make(state_.path(), SecretBytes(), SomeEnd()),
              FailsWith(ErrorCode::kInternal));
  EXPECT_FALSE(std::filesystem::exists(Path()));
}

}  // namespace
}  // namespace keyward
