#include "keyd/session_table.h"

#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"
#include "tests/unit/keyd/fake_engine.h"

namespace keyward {
namespace {

using std::chrono::seconds;
using testing_support::FailsWith;

class SessionTableTest : public ::testing::Test {
 protected:
  static constexpr seconds kHandshake{10};

  // A session that the table forgets when it ends, as those of the daemon are.
  std::shared_ptr<LiveSession> Open(const std::string& module, seconds lifetime = seconds(100)) {
    const MonotonicTime now = clock_.Monotonic();
    SessionInfo info{.id = table_.NextId(),
                     .caller = {1000, {}},
                     .module = module,
                     .key = nullptr,
                     .peer = "peer",
                     .peer_keys = {},
                     .protocol = "aico",
                     .role = session::Role::kInitiator,
                     .handshake_deadline = now + kHandshake,
                     .deadline = now + lifetime};
    auto session = std::make_shared<LiveSession>(
        std::move(info), std::make_unique<testing_support::FakeEngine>(script_));
    session->OnEnd([this, id = session->info().id](const Error&) { table_.Remove(id); });
    return session;
  }
  std::shared_ptr<LiveSession> Added(const std::string& module, seconds lifetime = seconds(100)) {
    std::shared_ptr<LiveSession> session = Open(module, lifetime);
    EXPECT_OK(table_.Add(session, 10));
    return session;
  }

  testing_support::FakeClock clock_;
  testing_support::EngineScript script_;
  SessionTable table_;
};

TEST_F(SessionTableTest, ASessionIsFoundUntilItEnds) {
  const std::shared_ptr<LiveSession> session = Added("frontend");
  EXPECT_EQ(table_.Find(session->info().id), session);
  session->End(Error(ErrorCode::kSessionClosed, "closed"));
  EXPECT_EQ(table_.Find(session->info().id), nullptr);
  EXPECT_EQ(table_.size(), 0U);
}

TEST_F(SessionTableTest, EachModuleHasALimitOfItsOwn) {
  ASSERT_OK(table_.Add(Open("frontend"), 2));
  const std::shared_ptr<LiveSession> second = Open("frontend");
  ASSERT_OK(table_.Add(second, 2));
  const Result<void> third = table_.Add(Open("frontend"), 2);
  ASSERT_THAT(third, FailsWith(ErrorCode::kResourceExhausted));
  EXPECT_EQ(third.error().action(), Action::kRetryLater);
  EXPECT_OK(table_.Add(Open("backend"), 2));
  second->End(Error(ErrorCode::kSessionClosed, "closed"));
  EXPECT_OK(table_.Add(Open("frontend"), 2));
}

TEST_F(SessionTableTest, CountsFollowWhatComesAndGoes) {
  const std::shared_ptr<LiveSession> one = Added("frontend");
  Added("frontend");
  Added("backend");
  EXPECT_EQ(table_.CountOf("frontend"), 2U);
  EXPECT_EQ(table_.CountOf("backend"), 1U);
  EXPECT_EQ(table_.CountOf("nobody"), 0U);
  table_.Remove(one->info().id);
  table_.Remove(one->info().id);  // a second time changes nothing
  EXPECT_EQ(table_.CountOf("frontend"), 1U);
  EXPECT_EQ(table_.size(), 2U);
  EXPECT_EQ(table_.All().size(), 2U);
}

TEST_F(SessionTableTest, EndWhereEndsWhatItSelects) {
  const std::shared_ptr<LiveSession> one = Added("frontend");
  const std::shared_ptr<LiveSession> two = Added("backend");
  const Error reason(ErrorCode::kRevoked, "the key was revoked");
  EXPECT_EQ(
      table_.EndWhere([](const SessionInfo& info) { return info.module == "frontend"; }, reason),
      1U);
  EXPECT_EQ(one->ended()->code(), ErrorCode::kRevoked);
  EXPECT_FALSE(two->ended());
  EXPECT_EQ(table_.size(), 1U);
}

TEST_F(SessionTableTest, WithoutSessionsThereIsNoDeadline) {
  EXPECT_EQ(table_.EndExpired(clock_.Monotonic()), std::nullopt);
}

TEST_F(SessionTableTest, AHandshakeThatTakesTooLongEnds) {
  const MonotonicTime start = clock_.Monotonic();
  const std::shared_ptr<LiveSession> session = Added("frontend");
  clock_.Advance(kHandshake - std::chrono::milliseconds(1));
  EXPECT_EQ(table_.EndExpired(clock_.Monotonic()), start + kHandshake);
  EXPECT_FALSE(session->ended());
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(table_.EndExpired(clock_.Monotonic()), std::nullopt);
  EXPECT_EQ(session->ended()->code(), ErrorCode::kExpired);
  EXPECT_EQ(session->ended()->message(), "the handshake took too long");
  EXPECT_EQ(table_.size(), 0U);
}

TEST_F(SessionTableTest, ASessionShorterThanItsHandshakeEndsInTime) {
  const std::shared_ptr<LiveSession> session = Added("frontend", seconds(5));
  clock_.Advance(seconds(5));
  EXPECT_EQ(table_.EndExpired(clock_.Monotonic()), std::nullopt);
  EXPECT_TRUE(session->ended());
}

TEST_F(SessionTableTest, OneThatExpiresLeavesTheOthers) {
  const std::shared_ptr<LiveSession> early = Added("frontend");
  clock_.Advance(seconds(4));
  const std::shared_ptr<LiveSession> late = Added("frontend");
  clock_.Advance(seconds(6));
  EXPECT_EQ(table_.EndExpired(clock_.Monotonic()), late->info().handshake_deadline);
  EXPECT_TRUE(early->ended());
  EXPECT_FALSE(late->ended());
}

TEST_F(SessionTableTest, ASessionThatHasEndedHasNoDeadline) {
  Added("frontend")->End(Error(ErrorCode::kSessionClosed, "closed"));
  EXPECT_EQ(table_.EndExpired(clock_.Monotonic()), std::nullopt);
}

}  // namespace
}  // namespace keyward
