#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/encoding.h"
#include "examples/module/file_transfer.h"
#include "examples/module/message.h"
#include "examples/module/reporter.h"
#include "examples/module/signals.h"
#include "examples/module/socket.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward::example {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

class ExampleTest : public ::testing::Test {
 protected:
  std::string Path(const char* name) const { return folder_.File(name); }

 private:
  testing_support::TempDir folder_;
};

TEST(MessageTest, EveryTypeReadsBack) {
  for (const MessageType type : {MessageType::kText, MessageType::kChat, MessageType::kChunk,
                                 MessageType::kFileEnd, MessageType::kDone}) {
    EXPECT_THAT(TypeFromMetadata(MetadataFor(type)), IsOkAndHolds(type));
  }
}

TEST(MessageTest, RefusesOtherMetadata) {
  for (const char* metadata : {"", "{", "[]", "{}", R"({"type":1})", R"({"type":"novel"})"}) {
    EXPECT_THAT(TypeFromMetadata(metadata), FailsWith(ErrorCode::kMalformed)) << metadata;
  }
}

TEST_F(ExampleTest, AFileGoesInChunksAndKeepsItsHash) {
  const std::string content(kChunkSize * 2 + 5, 'x');
  std::ofstream(Path("in")) << content;
  ASSERT_OK_AND_ASSIGN(FileReader reader, FileReader::Open(Path("in")));
  ASSERT_OK_AND_ASSIGN(FileWriter writer, FileWriter::Create(Path("out")));
  std::vector<size_t> sizes;
  while (true) {
    ASSERT_OK_AND_ASSIGN(const std::vector<Bytes> chunks, reader.NextChunks(2));
    if (chunks.empty()) break;
    for (const Bytes& chunk : chunks) {
      sizes.push_back(chunk.size());
      ASSERT_OK(writer.Write(chunk));
    }
  }
  EXPECT_THAT(sizes, ::testing::ElementsAre(kChunkSize, kChunkSize, 5));
  EXPECT_EQ(reader.bytes(), content.size());
  EXPECT_EQ(writer.bytes(), content.size());
  EXPECT_EQ(reader.FinishHash(), writer.FinishHash());
  std::ifstream out(Path("out"));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(out), {}), content);
}

// FIPS 180-4's example "abc".
TEST_F(ExampleTest, TheHashIsSha256) {
  ASSERT_OK_AND_ASSIGN(FileWriter writer, FileWriter::Create(""));
  ASSERT_OK(writer.Write(AsBytes("abc")));
  EXPECT_EQ(ToHex(writer.FinishHash()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(ExampleTest, FilesThatCannotBeOpenedAreTold) {
  EXPECT_THAT(FileReader::Open(Path("missing")), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(FileWriter::Create(Path("missing/file")), FailsWith(ErrorCode::kInvalidArgument));
}

TEST_F(ExampleTest, ASocketTakesThePlaceOfOneThatWasLeft) {
  ASSERT_OK(Listen(Path("socket")));  // gone at once; its file stays
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener, Listen(Path("socket")));
  ASSERT_OK_AND_ASSIGN(const UniqueFd client, Connect(Path("socket")));
  EXPECT_OK(Accept(listener.get()));
}

TEST_F(ExampleTest, NobodyToConnectToIsTold) {
  EXPECT_THAT(Connect(Path("missing")), FailsWith(ErrorCode::kUnreachable));
  EXPECT_THAT(Connect(std::string(200, 'x')), FailsWith(ErrorCode::kInvalidArgument));
}

TEST_F(ExampleTest, ASignalWhileItWaitsIsNoticedAndTaken) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener, Listen(Path("socket")));
  {
    const Signals signals;
    ASSERT_EQ(raise(SIGTERM), 0);
    EXPECT_FALSE(signals.WaitForInput(listener.get()));
  }
  const Signals again;  // the process lives, and nothing is left over
  ASSERT_OK_AND_ASSIGN(const UniqueFd client, Connect(Path("socket")));
  EXPECT_TRUE(again.WaitForInput(listener.get()));
}

TEST(ReporterTest, EventsAreOneObjectALine) {
  std::ostringstream out;
  Reporter reporter(out, true);
  reporter.TextReceived("two\nlines \xff");
  reporter.Closed({ErrorCode::kRevoked, "the key was revoked"});
  std::istringstream lines(out.str());
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(nlohmann::json::parse(line).at("event"), "text");
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(nlohmann::json::parse(line),
            nlohmann::json::parse(
                R"({"event":"closed","code":"Revoked","reason":"the key was revoked"})"));
  EXPECT_FALSE(std::getline(lines, line));
}

TEST(ReporterTest, WordsAreForPeople) {
  std::ostringstream out;
  Reporter(out, false).Established("backend", "/x", std::chrono::microseconds(3140));
  EXPECT_EQ(out.str(), "session established with backend in 3.1 ms\n");
}

}  // namespace
}  // namespace keyward::example
