#include "audit/record.h"

#include "core/timestamp.h"
#include "tests/unit/audit/audit_fixture.h"

namespace keyward::audit {
namespace {

using testing_support::FailsWith;

constexpr WallTime kTime{std::chrono::milliseconds(1'750'000'000'123)};

Record SomeRecord() {
  Record record;
  record.seq = 7;
  record.time = kTime;
  record.event = EventKind::kSessionEnd;
  record.caller = 1000;
  record.module = "frontend";
  record.object = "session 3";
  record.failed = ErrorCode::kExpired;
  record.detail = {{.name = "sealed", .value = uint64_t{12}},
                   {.name = "peer", .value = std::string("backend")}};
  return record;
}

Record SomeCheckpoint() {
  Record record;
  record.seq = 8;
  record.time = kTime;
  record.event = EventKind::kAuditCheckpoint;
  record.checkpoint = Checkpoint{.log = {1}, .through = {7, {2}}, .key = {3}, .signature = {4, 5}};
  return record;
}

TEST(RecordTest, IsOneLineOfJson) {
  EXPECT_EQ(ComposeLine(SomeRecord()),
            R"({"seq":7,"time":"2025-06-15T15:06:40.123Z","event":"session.end","caller":1000,)"
            R"("module":"frontend","object":"session 3","outcome":"Expired",)"
            R"("detail":{"sealed":12,"peer":"backend"},"prev":")" +
                std::string(64, '0') + R"("})");
}

TEST(RecordTest, ComesBackAsItWas) {
  Record stepped = SomeRecord();
  stepped.stepped_back = true;
  stepped.caller.reset();
  stepped.failed.reset();
  stepped.detail.clear();
  for (const Record& record : {SomeRecord(), SomeCheckpoint(), stepped}) {
    ASSERT_OK_AND_ASSIGN(const Record again, ParseLine(ComposeLine(record)));
    EXPECT_EQ(again, record);
  }
}

TEST(RecordTest, EveryOtherSpellingIsMalformed) {
  struct Case {
    std::string from;
    std::string to;
  };
  for (const Case& c : {Case{"\"seq\":7", "\"seq\":07"},
                        Case{"\"seq\":7", "\"seq\":0"},
                        Case{"\"seq\":7", "\"seq\":9007199254740992"},
                        Case{"\"seq\":7", "\"seq\":-7"},
                        Case{"\"seq\":7", "\"seq\": 7"},
                        Case{"\"seq\":7,", ""},
                        Case{"06-15", "02-30"},
                        Case{"15:06", "24:06"},
                        Case{"session.end", "session.eat"},
                        Case{"1000", "4294967296"},
                        Case{"1000", "\"root\""},
                        Case{"frontend", "front\\nend"},
                        Case{"frontend", "front%0aend"},
                        Case{"frontend", "front%41end"},
                        Case{"frontend", "front%0"},
                        Case{"Expired", "expired"},
                        Case{"\"peer\"", "\"sealed\""},
                        Case{"\"peer\"", "\"Peer\""},
                        Case{"12", "1.2"},
                        Case{"00\"}", "0A\"}"},
                        Case{"00\"}", "\"}"},
                        Case{"00\"}", "00\"} "}}) {
    std::string line = ComposeLine(SomeRecord());
    ASSERT_NE(line.find(c.from), std::string::npos) << c.from;
    line.replace(line.find(c.from), c.from.size(), c.to);
    EXPECT_THAT(ParseLine(line), FailsWith(ErrorCode::kMalformed)) << line;
  }
}

TEST(RecordTest, WhatIsCutOffIsMalformed) {
  for (const std::string& line : {ComposeLine(SomeRecord()), ComposeLine(SomeCheckpoint())}) {
    for (size_t size = 0; size < line.size(); ++size) {
      EXPECT_THAT(ParseLine(line.substr(0, size)), FailsWith(ErrorCode::kMalformed)) << size;
    }
  }
}

TEST(RecordTest, OnlyACheckpointHasASignature) {
  std::string line = ComposeLine(SomeCheckpoint());
  line.replace(line.find("audit.checkpoint"), 16, "audit.repair");
  EXPECT_THAT(ParseLine(line), FailsWith(ErrorCode::kMalformed));
}

TEST(RecordTest, TheLargestEventIsALineThatFits) {
  Event event{.kind = EventKind::kAuditExport,
              .caller = UINT32_MAX,
              .module = SafeText(std::string(500, 'm')),
              .object = SafeText(std::string(500, '\n')),
              .failed = ErrorCode::kCustodianUnavailable,
              .detail = {}};
  const SafeText value(std::string(500, 'v'));
  event.detail = {
      {"a_name_of_thirty_two_characters_", value}, {"b_name_of_thirty_two_characters_", value},
      {"c_name_of_thirty_two_characters_", value}, {"d_name_of_thirty_two_characters_", value},
      {"e_name_of_thirty_two_characters_", value}, {"f_name_of_thirty_two_characters_", value},
      {"g_name_of_thirty_two_characters_", value}, {"h_name_of_thirty_two_characters_", value}};
  ASSERT_OK_AND_ASSIGN(Record record, ToRecord(event));
  record.seq = kMaxNumber;
  record.stepped_back = true;
  record.checkpoint =
      Checkpoint{.log = {}, .through = {}, .key = {}, .signature = Bytes(kMaxSignatureSize)};
  EXPECT_LT(ComposeLine(record).size() + 1, kMaxLine);
  event.detail.push_back({"one_more", uint64_t{1}});
  EXPECT_THAT(ToRecord(event), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(RecordTest, ADetailIsThereOnceAndItsNumberIsExactEverywhere) {
  Event event = testing_support::SomeEvent("a");
  event.detail = {{"n", UINT64_MAX}};
  ASSERT_OK_AND_ASSIGN(const Record record, ToRecord(event));
  EXPECT_EQ(record.Number("n"), kMaxNumber);
  EXPECT_EQ(record.Text("n"), std::nullopt);
  event.detail = {{"n", uint64_t{1}}, {"n", uint64_t{2}}};
  EXPECT_THAT(ToRecord(event), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(TimestampTest, IsUtcWithMillisecondsWithinWhatCanBeWritten) {
  EXPECT_EQ(FormatTimestamp(kTime), "2025-06-15T15:06:40.123Z");
  EXPECT_EQ(ParseTimestamp("2025-06-15T15:06:40.123Z"), kTime);
  EXPECT_EQ(FormatTimestamp(WallTime(std::chrono::milliseconds(-1))), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatTimestamp(WallTime(std::chrono::milliseconds(INT64_MAX / 2))),
            "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(ParseTimestamp(FormatTimestamp(kLatest)), kLatest);
}

TEST(ChainTest, StatementsAreTheDocumentedTexts) {
  const LogId id{0xab};
  EXPECT_EQ(AsText(CheckpointStatement(id, {12, {0xcd}})),
            "Keyward audit checkpoint v1\nlog ab" + std::string(30, '0') + "\nthrough 12\nhead cd" +
                std::string(62, '0') + "\n");
  EXPECT_EQ(Genesis(id), HashOf("Keyward audit log v1\nlog ab" + std::string(30, '0') + "\n"));
}

}  // namespace
}  // namespace keyward::audit
