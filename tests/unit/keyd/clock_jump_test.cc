// Somebody sets the clock while keyd runs: what becomes due does so in its time, and the audit log
// tells of it. Keys, their schedule and the log go by one clock, as in keyd.
#include "tests/unit/audit/audit_fixture.h"
#include "tests/unit/keyd/key_ring_fixture.h"

namespace keyward {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing_support::FailsWith;

constexpr hours kYear{24 * 365};

class ClockJumpTest : public KeyRingFixture {
 protected:
  static constexpr seconds kGrace{100};
  static constexpr seconds kMaxAge{1000};

  void SetUp() override {
    KeyRingFixture::SetUp();
    stored_.MoveAudit(disk_);
    rules_.grace_period = kGrace;
    rules_.max_age = kMaxAge;
    ASSERT_OK(Generate(Hardware("web")));
  }
  void SetForward(hours by) { clock_.SetBack(-by); }
  // As keyd does every few seconds.
  void Tick(std::chrono::milliseconds after = {}) {
    clock_.Advance(after);
    schedule_->Tick();
    FinishTasks();
  }
  size_t Versions() const { return ring_->Find("web")->versions.size(); }
  VersionState StateOf(uint32_t version) const {
    return ring_->Find("web")->Find(version)->state();
  }
  std::vector<audit::Record> Records() const {
    return testing_support::RecordsOf(disk_.Contents());
  }

  testing_support::FaultyDisk disk_;  // of the audit log
};

TEST_F(ClockJumpTest, AClockThatIsSetBackProlongsNoGracePeriod) {
  ASSERT_OK(Rotate("web"));
  clock_.SetBack(kYear);
  Tick(kGrace - seconds(1));
  EXPECT_OK(SignAndVerify(ring_->Find("web")->Find(1)));
  Tick(seconds(1));
  EXPECT_EQ(StateOf(1), VersionState::kRetired);
  EXPECT_THAT(SignAndVerify(ring_->Find("web")->Find(1)), FailsWith(ErrorCode::kExpired));
  EXPECT_EQ(Stored().versions[0].state, VersionState::kRetired);
}

TEST_F(ClockJumpTest, AClockThatIsSetBackHoldsNoRotationUpThroughARestart) {
  clock_.SetBack(kYear);
  Tick(kMaxAge / 2);  // which is written down
  Restart();
  Tick(kMaxAge / 2 - seconds(1));
  EXPECT_EQ(Versions(), 1U);
  Tick(seconds(1));
  ASSERT_EQ(Versions(), 2U);
  EXPECT_EQ(StateOf(2), VersionState::kActive);
}

TEST_F(ClockJumpTest, AClockThatIsSetBackAndARestartProlongNoGracePeriod) {
  ASSERT_OK(Rotate("web"));
  clock_.SetBack(kYear);
  Tick(kGrace - seconds(1));
  EXPECT_OK(SignAndVerify(ring_->Find("web")->Find(1)));
  Restart();
  Tick(seconds(1));
  EXPECT_EQ(StateOf(1), VersionState::kRetired);
  EXPECT_EQ(Stored().versions[0].state, VersionState::kRetired);
}

TEST_F(ClockJumpTest, AClockThatIsSetForwardIsBelieved) {
  ASSERT_OK(Rotate("web"));
  SetForward(kYear);
  Tick();
  EXPECT_EQ(StateOf(1), VersionState::kRetired);
  EXPECT_EQ(Versions(), 3U);  // the second was too old at once
  EXPECT_EQ(StateOf(2), VersionState::kRetiring);
  Tick(kMaxAge - seconds(1));
  EXPECT_EQ(Versions(), 3U);
}

// What was made while the clock was wrong ends in its time all the same.
TEST_F(ClockJumpTest, AClockThatIsSetRightAgainProlongsNothing) {
  SetForward(kYear);
  Tick();
  ASSERT_EQ(Versions(), 2U);
  clock_.SetBack(kYear);
  Tick(kGrace - seconds(1));
  EXPECT_EQ(StateOf(1), VersionState::kRetiring);
  Tick(seconds(1));
  EXPECT_EQ(StateOf(1), VersionState::kRetired);
  Tick(kMaxAge - kGrace - seconds(1));
  EXPECT_EQ(Versions(), 2U);
  Tick(seconds(1));
  EXPECT_EQ(Versions(), 3U);
}

TEST_F(ClockJumpTest, TheLogTellsWhereTheClockWasSetBack) {
  SetForward(kYear);
  Tick();
  EXPECT_FALSE(Records().back().stepped_back);
  clock_.SetBack(2 * kYear);
  ASSERT_OK(Rotate("web"));
  const std::vector<audit::Record> records = Records();
  const auto stepped = std::ranges::count(records, true, &audit::Record::stepped_back);
  EXPECT_EQ(stepped, 1);
  clock_.Advance(seconds(1));
  ASSERT_OK(Rotate("web"));
  EXPECT_FALSE(Records().back().stepped_back);
  EXPECT_GT(Records().back().time, records.back().time);
  EXPECT_LT(Records().back().time, WallTime(clock_.Monotonic().time_since_epoch()) - kYear / 2);
}

}  // namespace
}  // namespace keyward
