#include "keyd/audit_readers.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "keyd/audit_events.h"
#include "keyd/audit_opening.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/audit/audit_fixture.h"

namespace keyward {
namespace {

using audit::EventKind;
using testing_support::FailsWith;
using testing_support::LinesOf;

class AuditReadersTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kCaller = 1000;

  void SetUp() override {
    ASSERT_OK(OpenAudit(trail_, state_.path(), limits_, {}, SecretBytes::Create(32).value()));
  }
  void Record(const std::string& object) {
    ASSERT_OK(trail_.Record(MakeEvent(EventKind::kKeyGenerate, kCaller, object)));
  }
  static std::string ReadAll(int fd, size_t size) {
    std::string text(size, 0);
    text.resize(static_cast<size_t>(std::max<ssize_t>(read(fd, text.data(), size), 0)));
    return text;
  }

  policy::AuditLimits limits_;
  testing_support::TempDir state_;
  testing_support::FakeClock clock_;
  SystemRng rng_;
  AuditTrail trail_{clock_, rng_};
  AuditReaders readers_{trail_, state_.path()};
};

TEST_F(AuditReadersTest, WhatIsReadIsTheLogAndThatItIsRead) {
  Record("web");
  ASSERT_OK_AND_ASSIGN(const AuditSegment segment, readers_.Read(0, kCaller));
  EXPECT_EQ(segment.first, 1U);
  EXPECT_EQ(segment.next, 0U);
  const std::string text = ReadAll(segment.file.get(), segment.size);
  const std::vector<audit::Record> records = testing_support::RecordsOf(text);
  ASSERT_EQ(records.size(), 4U);
  EXPECT_EQ(records[2].object, "web");
  EXPECT_EQ(records[3].event, EventKind::kAuditExport);
  EXPECT_EQ(records[3].caller, kCaller);
  EXPECT_THAT(testing_support::VerifyText(text, {}), testing_support::IsValid());
}

TEST_F(AuditReadersTest, AFileIsGivenForReadingAlone) {
  ASSERT_OK_AND_ASSIGN(const AuditSegment segment, readers_.Read(1, kCaller));
  EXPECT_EQ(fcntl(segment.file.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
}

TEST_F(AuditReadersTest, SegmentsFollowOneAnother) {
  limits_.segment_size = 1000;
  trail_.Close();
  ASSERT_OK(OpenAudit(trail_, state_.path(), limits_, {}, SecretBytes::Create(32).value()));
  for (int i = 0; i < 30; ++i) Record("web");
  std::string text;
  uint64_t next = 0;
  do {
    ASSERT_OK_AND_ASSIGN(const AuditSegment segment, readers_.Read(next, kCaller));
    EXPECT_EQ(segment.first, next == 0 ? 1 : next);
    text += ReadAll(segment.file.get(), segment.size);
    next = segment.next;
  } while (next != 0);
  EXPECT_THAT(testing_support::VerifyText(text, {.keys = {}, .head = trail_.log()->head()}),
              testing_support::IsValid());
  ASSERT_OK_AND_ASSIGN(const AuditSegment last, readers_.Read(UINT64_MAX, kCaller));
  EXPECT_EQ(last.next, 0U);
}

TEST_F(AuditReadersTest, WhoFollowsGetsEachRecordUntilTheLogCloses) {
  ASSERT_OK_AND_ASSIGN(const AuditStream stream, readers_.Follow(kCaller));
  EXPECT_EQ(stream.first, trail_.log()->head().seq + 1);
  Record("web");
  Record("web-2");
  const std::vector<audit::Record> records =
      testing_support::RecordsOf(ReadAll(stream.lines.get(), 10'000));
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].seq, stream.first);
  EXPECT_EQ(records[1].object, "web-2");
  trail_.Close();
  EXPECT_EQ(ReadAll(stream.lines.get(), 10'000), "");
  EXPECT_THAT(readers_.Follow(kCaller), FailsWith(ErrorCode::kSealed));
  EXPECT_THAT(readers_.Read(0, kCaller), FailsWith(ErrorCode::kSealed));
}

TEST_F(AuditReadersTest, WhoFallsBehindIsCutOff) {
  ASSERT_OK_AND_ASSIGN(const AuditStream stream, readers_.Follow(kCaller));
  const int size = fcntl(stream.lines.get(), F_GETPIPE_SZ);
  const std::vector<audit::Event> many(static_cast<size_t>(size) / 200 + 1,
                                       MakeEvent(EventKind::kKeyGenerate, kCaller, "web"));
  trail_.RecordDone(many);
  std::string text;
  for (std::string more = "-"; !more.empty();) {
    more = ReadAll(stream.lines.get(), 1 << 20);  // which ends: nobody writes to it any more
    text += more;
  }
  EXPECT_EQ(text.back(), '\n');
  EXPECT_EQ(testing_support::RecordsOf(text).size(), LinesOf(text).size());
}

TEST_F(AuditReadersTest, FewMayFollowAtOneTimeAndThoseThatWentMakeRoom) {
  std::vector<AuditStream> streams;
  for (size_t i = 0; i < AuditReaders::kMaxStreams; ++i) {
    ASSERT_OK_AND_ASSIGN(AuditStream stream, readers_.Follow(kCaller));
    streams.push_back(std::move(stream));
  }
  EXPECT_THAT(readers_.Follow(kCaller), FailsWith(ErrorCode::kResourceExhausted));
  streams.pop_back();
  EXPECT_OK(readers_.Follow(kCaller));
}

}  // namespace
}  // namespace keyward
