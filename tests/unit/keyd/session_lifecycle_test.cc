#include <future>
#include <vector>

#include "keyd/live_session.h"
#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"
#include "tests/unit/keyd/fake_engine.h"
#include "tests/unit/keyd/hooked_custodian.h"

namespace keyward {
namespace {

using testing_support::FailsWith;
using testing_support::FakeEngine;

class SessionLifecycleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Custodian> custodian, hardware_.Make());
    const KeyId id{1};
    ASSERT_OK_AND_ASSIGN(const GeneratedKey made,
                         custodian->signer().GenerateKey(Algorithm::kEd25519, id));
    const VersionRecord version{.key = "identity",
                                .number = 1,
                                .id = id,
                                .state = VersionState::kActive,
                                .spki = made.public_key.spki(),
                                .reference = made.reference,
                                .created = clock_.Now()};
    const KeyRecord key{"identity", Algorithm::kEd25519, Custody::kHardware, "hsm", 2};
    key_ = std::make_shared<KeyVersion>(key, version, made.public_key, &pool_);
    const MonotonicTime now = clock_.Monotonic();
    session_ = std::make_shared<LiveSession>(SessionInfo{.id = 1,
                                                         .caller = {1000, {}},
                                                         .module = "frontend",
                                                         .key = key_,
                                                         .peer = "backend",
                                                         .peer_keys = {},
                                                         .protocol = "aico",
                                                         .role = session::Role::kInitiator,
                                                         .handshake_deadline = now + kHandshake,
                                                         .deadline = now + kLifetime},
                                             std::make_unique<FakeEngine>(script_));
    session_->OnEnd([this](const Error& reason) {
      events_.push_back("end: " + std::string(Name(reason.code())));
      ended_.set_value();
    });
  }

  Result<session::StepResult> Step(std::string_view input) {
    std::promise<Result<session::StepResult>> answer;
    session_->Step(ToBytes(AsBytes(input)), [&](Result<session::StepResult> result) {
      events_.emplace_back("answer");
      answer.set_value(std::move(result));
    });
    return answer.get_future().get();
  }
  void AwaitEnd() {
    ASSERT_EQ(ended_.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  }
  void ExpectEveryCallToFailWith(ErrorCode code) {
    Bytes bytes;
    std::string metadata;
    EXPECT_THAT(session_->Seal(Bytes{1}, "", bytes), FailsWith(code));
    EXPECT_THAT(session_->Open(Bytes{1}, bytes, metadata), FailsWith(code));
    EXPECT_THAT(session_->Rekey(), FailsWith(code));
    EXPECT_THAT(Step("more"), FailsWith(code));
  }

  static constexpr std::chrono::seconds kHandshake{10};
  static constexpr std::chrono::seconds kLifetime{3600};

  testing_support::FakeClock clock_;
  fakes::FakeHardware hardware_;
  testing_support::CustodianHooks hooks_;
  testing_support::EngineScript script_;
  std::vector<std::string> events_;  // written by the thread that the test waits for
  std::promise<void> ended_;
  CustodianPool pool_{"hsm", testing_support::HookedFactory(hardware_, hooks_), 1, clock_};
  std::shared_ptr<KeyVersion> key_;
  std::shared_ptr<LiveSession> session_;
};

TEST_F(SessionLifecycleTest, AHandshakeIsSignedByTheIdentityAndEstablishes) {
  EXPECT_EQ(session_->state(), SessionState::kHandshake);
  ASSERT_OK_AND_ASSIGN(const session::StepResult result, Step("hello"));
  EXPECT_OK(key_->public_key().Verify(AsBytes("hello"), result.output));
  EXPECT_EQ(session_->state(), SessionState::kEstablished);
}

TEST_F(SessionLifecycleTest, TheDeadlineIsTheHandshakesThenTheSessions) {
  EXPECT_EQ(session_->NextDeadline(), clock_.Monotonic() + kHandshake);
  ASSERT_OK(Step("hello"));
  EXPECT_EQ(session_->NextDeadline(), clock_.Monotonic() + kLifetime);
}

TEST_F(SessionLifecycleTest, NoTimeIsLeftOnceItsTimeIsOver) {
  ASSERT_OK(Step("hello"));
  EXPECT_EQ(session_->TimeLeft(clock_.Monotonic()), kLifetime);
  clock_.Advance(kLifetime + std::chrono::seconds(5));
  EXPECT_EQ(session_->TimeLeft(clock_.Monotonic()), std::chrono::seconds(0));
}

TEST_F(SessionLifecycleTest, AFailedStepEndsTheHandshakeAfterItsAnswer) {
  EXPECT_THAT(Step(FakeEngine::kBadMessage), FailsWith(ErrorCode::kMalformed));
  AwaitEnd();
  EXPECT_THAT(events_, ::testing::ElementsAre("answer", "end: Malformed"));
  EXPECT_EQ(session_->state(), SessionState::kClosed);
  EXPECT_TRUE(script_.destroyed);
}

TEST_F(SessionLifecycleTest, AFailedStepLeavesAnEstablishedSession) {
  ASSERT_OK(Step("hello"));
  EXPECT_THAT(Step(FakeEngine::kBadMessage), FailsWith(ErrorCode::kMalformed));
  // The next step runs on the same thread, so what the failed one does is done by then.
  ASSERT_OK(Step("again"));
  EXPECT_EQ(session_->state(), SessionState::kEstablished);
  EXPECT_THAT(events_, ::testing::ElementsAre("answer", "answer", "answer"));
}

TEST_F(SessionLifecycleTest, WithoutHardwareTheHandshakeCanBeTriedAgain) {
  hardware_.SetAvailable(false);
  EXPECT_THAT(Step("hello"), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(session_->state(), SessionState::kHandshake);
  hardware_.SetAvailable(true);
  EXPECT_OK(Step("hello"));
}

TEST_F(SessionLifecycleTest, EndingWipesTheKeysBeforeItTells) {
  bool wiped_first = false;
  session_->OnEnd([&](const Error&) { wiped_first = script_.destroyed; });
  session_->End(Error(ErrorCode::kExpired, "the session reached its timeout"));
  EXPECT_TRUE(wiped_first);
  EXPECT_EQ(session_->ended()->code(), ErrorCode::kExpired);
  ExpectEveryCallToFailWith(ErrorCode::kExpired);
}

TEST_F(SessionLifecycleTest, TheFirstReasonStays) {
  session_->End(Error(ErrorCode::kRevoked, "the key was revoked"));
  session_->End(Error(ErrorCode::kSessionClosed, "closed"));
  EXPECT_THAT(events_, ::testing::ElementsAre("end: Revoked"));
  ExpectEveryCallToFailWith(ErrorCode::kRevoked);
}

TEST_F(SessionLifecycleTest, CountersCountWhatSucceeded) {
  ASSERT_OK(Step("hello"));
  Bytes bytes;
  std::string metadata;
  ASSERT_OK(session_->Seal(Bytes(10), "", bytes));
  ASSERT_OK(session_->Open(Bytes(4), bytes, metadata));
  ASSERT_FALSE(session_->Open(AsBytes(FakeEngine::kBadMessage), bytes, metadata));
  const SessionCounters counters = session_->counters();
  EXPECT_EQ(counters.sealed, 1U);
  EXPECT_EQ(counters.bytes_sealed, 10U);
  EXPECT_EQ(counters.opened, 1U);
  EXPECT_EQ(counters.bytes_opened, 4U);
}

TEST_F(SessionLifecycleTest, ARevocationBeforeTheSignatureYieldsNoOutput) {
  script_.before_signing = [this] { key_->Revoke({}); };
  EXPECT_THAT(Step("hello"), FailsWith(ErrorCode::kRevoked));
  AwaitEnd();
}

TEST_F(SessionLifecycleTest, ARevocationDuringTheSignatureYieldsNoOutput) {
  hooks_.signed_ = [this] { key_->Revoke({}); };
  EXPECT_THAT(Step("hello"), FailsWith(ErrorCode::kRevoked));
  AwaitEnd();
}

}  // namespace
}  // namespace keyward
