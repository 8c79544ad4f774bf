// What someone who waits is told.
#include <fmt/format.h>

#include <algorithm>
#include <streambuf>

#include "keyctl/progress_note.h"
#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using testing_support::FakeClock;
using testing_support::KeyctlTest;
using testing_support::NoticedStream;

constexpr std::chrono::milliseconds kAtOnce(1);
constexpr std::chrono::milliseconds kNever = std::chrono::hours(1);
constexpr std::chrono::milliseconds kMoment(50);  // in which what is at once would have come
constexpr size_t kColumns = 80;

class ProgressNoteTest : public ::testing::Test {
 protected:
  ProgressNote Note(size_t columns, std::chrono::milliseconds patience = kAtOnce) {
    return {out_, clock_, {.doing = "wait", .columns = columns, .patience = patience}};
  }

  NoticedStream out_;
  FakeClock clock_;
};

TEST_F(ProgressNoteTest, TellsHowLongItHasBeen) {
  ProgressNote note = Note(0);
  clock_.Advance(std::chrono::hours(1));  // nothing is waited for yet
  note.Resume();
  EXPECT_TRUE(out_.WaitFor("keyctl: working to wait, 0 s so far\n"));
  clock_.Advance(std::chrono::seconds(61));
  note.Resume();  // goes on
  EXPECT_TRUE(out_.WaitFor("keyctl: working to wait, 1 min 1 s so far\n"));
}

TEST_F(ProgressNoteTest, KeepsQuietWhenItIsQuick) {
  {
    ProgressNote note = Note(0, kNever);
    note.Resume();
  }
  EXPECT_THAT(out_.str(), IsEmpty());
}

TEST_F(ProgressNoteTest, KeepsQuietWhileItIsPaused) {
  ProgressNote note = Note(0);
  EXPECT_FALSE(out_.WaitFor("working", kMoment));
  note.Resume();
  EXPECT_TRUE(out_.WaitFor("working"));
  note.Pause();
  out_.str("");
  EXPECT_FALSE(out_.WaitFor("working", kMoment));
  clock_.Advance(std::chrono::seconds(5));
  note.Resume();
  EXPECT_TRUE(out_.WaitFor("0 s so far"));
}

TEST_F(ProgressNoteTest, TellsHowFarItIs) {
  ProgressNote note = Note(0);
  note.SoFar("1000 records");
  note.Resume();
  EXPECT_TRUE(out_.WaitFor("keyctl: working to wait, 0 s so far (1000 records)\n"));
}

TEST_F(ProgressNoteTest, WritesOneLineOfATerminalAnewAndWipesIt) {
  {
    ProgressNote note = Note(kColumns);
    note.Resume();
    EXPECT_TRUE(out_.WaitFor("\x1b[Kkeyctl: working to wait, 0 s so far\r"));
    clock_.Advance(std::chrono::seconds(2));
    EXPECT_TRUE(out_.WaitFor("\r\x1b[Kkeyctl: working to wait, 2 s so far\r"));
  }
  EXPECT_THAT(out_.str(), EndsWith("\r\x1b[K"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("\n")));
}

TEST_F(ProgressNoteTest, ALineThatTheTerminalWouldWrapIsWrittenOnce) {
  ProgressNote note = Note(kColumns / 2);
  note.Resume();
  EXPECT_TRUE(out_.WaitFor("keyctl: working to wait, 0 s so far\n"));
}

// Every command waits in one of these ways.
class WaitingTest : public KeyctlTest {
 protected:
  void SetUp() override {
    patience_ = kAtOnce;
    waits_ = [this] { EXPECT_TRUE(err_.WaitFor("so far\n")); };
  }
};

TEST_F(WaitingTest, ForKeydIsTold) {
  EXPECT_EQ(Run({"unseal"}), ExitCode::kOk);
  EXPECT_THAT(err_.str(), StartsWith("keyctl: working to unseal the service, 0 s so far\n"));
  EXPECT_EQ(out_.str(), "The service is unsealed.\n");
  EXPECT_EQ(Run({"key", "destroy", "web", "--yes"}), ExitCode::kOk);
  EXPECT_THAT(err_.str(), StartsWith("keyctl: working to destroy key 'web', 0 s so far\n"));
}

TEST_F(WaitingTest, ForAKeydThatIsToStartIsTold) {
  EXPECT_EQ(Run({"status", "--wait", "5"}), ExitCode::kHardware);
  EXPECT_EQ(waited_, std::chrono::seconds(5));
}

TEST_F(WaitingTest, ForAKeydThatDoesOneThingIsTold) {
  EXPECT_EQ(Run({"init", "--custodian", "hsm"}), ExitCode::kOk);
  EXPECT_THAT(keyd_run_, Not(IsEmpty()));
}

TEST_F(WaitingTest, IsToldAfterAQuestionToo) {
  terminal_ = true;
  in_.str("y\n");
  waits_ = [this] { EXPECT_TRUE(err_.WaitFor("[y/N] keyctl: working to seal the service")); };
  EXPECT_EQ(Run({"seal"}), ExitCode::kOk);
}

// Answers no before somebody has looked at the question for a while.
class SlowAnswer : public std::streambuf {
 public:
  explicit SlowAnswer(NoticedStream& asked) : asked_(asked) {}

 protected:
  int_type underflow() override {
    EXPECT_FALSE(asked_.WaitFor("[y/N] keyctl", kMoment));
    return traits_type::eof();
  }

 private:
  NoticedStream& asked_;
};

TEST_F(WaitingTest, ForAnAnswerIsNotTold) {
  terminal_ = true;
  SlowAnswer answer(err_);
  static_cast<std::istream&>(in_).rdbuf(&answer);
  EXPECT_EQ(Run({"seal"}), ExitCode::kNotConfirmed);
  EXPECT_THAT(err_.str(), EndsWith("[y/N] Nothing was done.\n"));
}

TEST_F(WaitingTest, LeavesErrorsThatCanBeParsed) {
  keyd_.error = Error(ErrorCode::kBusy, "the hardware is busy");
  waits_ = [this] { EXPECT_FALSE(err_.WaitFor("working", kMoment)); };
  EXPECT_EQ(Run({"key", "rotate", "web", "--json"}), ExitCode::kFailure);
  EXPECT_EQ(ErrorJson().at("code"), "Busy");
}

// Gives bad records, and ends when somebody was told of them.
class SlowLog : public std::streambuf {
 public:
  explicit SlowLog(NoticedStream& told) : told_(told) {}

 protected:
  std::streamsize xsgetn(char* to, std::streamsize room) override {
    if (given_) {
      EXPECT_TRUE(told_.WaitFor(fmt::format("so far ({} records)\n", room)));
      return 0;
    }
    given_ = true;
    std::fill_n(to, room, '\n');
    return room;
  }

 private:
  NoticedStream& told_;
  bool given_ = false;
};

TEST_F(WaitingTest, ForALogIsToldWithTheRecordsThatWereRead) {
  SlowLog log(err_);
  static_cast<std::istream&>(in_).rdbuf(&log);
  EXPECT_EQ(Run({"audit", "verify", "-"}), ExitCode::kFailure);
}

}  // namespace
}  // namespace keyward::keyctl
