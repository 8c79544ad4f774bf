#include "keyd/live_session.h"

#include <array>
#include <future>

#include "tests/fakes/fake_custodian.h"
#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"

namespace keyward {
namespace {

using session::SignTranscript;
using session::StepResult;
using testing_support::FailsWith;

// What an engine tells a test, and waits for.
struct Probe {
  std::promise<void> stepping;
  std::promise<void> go_on;
  std::promise<void> wiped;
};

// Whose only step takes until the test lets it end, as one that asks hung hardware would.
class StuckEngine final : public session::Engine {
 public:
  explicit StuckEngine(Probe& probe) : probe_(probe) {}
  ~StuckEngine() override { probe_.wiped.set_value(); }

  Result<StepResult> Step(ByteView /*input*/, const SignTranscript& /*sign*/) override {
    probe_.stepping.set_value();
    probe_.go_on.get_future().wait();
    return StepResult{Bytes{1}, true};
  }
  Result<void> Seal(ByteView /*plaintext*/, std::string_view /*metadata*/,
                    Bytes& /*frame*/) override {
    return {};
  }
  Result<void> Open(ByteView /*frame*/, Bytes& /*plaintext*/, std::string& /*metadata*/) override {
    return {};
  }
  Result<void> Rekey() override { return {}; }
  bool established() const override { return false; }

 private:
  Probe& probe_;
};

class LiveSessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::array<uint8_t, 32> base_point{};
    base_point.fill(0x66);
    base_point[0] = 0x58;
    ASSERT_OK_AND_ASSIGN(PublicKey public_key, PublicKey::FromEd25519(base_point));
    auto key = std::make_shared<KeyVersion>(
        KeyRecord{"id", Algorithm::kEd25519, Custody::kHardware, "hsm", 2},
        VersionRecord{.key = "id",
                      .number = 1,
                      .id = {},
                      .state = VersionState::kActive,
                      .spki = {},
                      .reference = {},
                      .created = {}},
        std::move(public_key), &pool_);
    session_ = std::make_shared<LiveSession>(SessionInfo{.id = 1,
                                                         .caller = {},
                                                         .module = "frontend",
                                                         .key = std::move(key),
                                                         .peer = "backend",
                                                         .peer_keys = {},
                                                         .protocol = "aico",
                                                         .role = session::Role::kInitiator,
                                                         .handshake_deadline = {},
                                                         .deadline = {}},
                                             std::make_unique<StuckEngine>(probe_));
  }

  testing_support::FakeClock clock_;
  fakes::FakeHardware hardware_;
  CustodianPool pool_{"hsm", [this] { return hardware_.Make(); }, 1, clock_};
  Probe probe_;
  std::shared_ptr<LiveSession> session_;
};

// The bus thread does all of this: were it to wait, nobody could even revoke.
TEST_F(LiveSessionTest, NothingWaitsForAStepThatHangs) {
  std::promise<Result<StepResult>> done;
  session_->Step({}, [&done](Result<StepResult> result) { done.set_value(std::move(result)); });
  probe_.stepping.get_future().wait();
  Bytes frame;
  EXPECT_THAT(session_->Seal(Bytes{1}, "", frame), FailsWith(ErrorCode::kWrongState));
  EXPECT_EQ(session_->counters().sealed, 0U);
  session_->End(Error(ErrorCode::kRevoked, "the key was revoked"));
  EXPECT_EQ(session_->state(), SessionState::kClosed);
  probe_.go_on.set_value();
  EXPECT_THAT(done.get_future().get(), FailsWith(ErrorCode::kRevoked));
  EXPECT_EQ(session_->state(), SessionState::kClosed);
  EXPECT_EQ(probe_.wiped.get_future().wait_for(std::chrono::seconds(30)),
            std::future_status::ready);
}

TEST_F(LiveSessionTest, WhoEndsItSecondReturnsWhenItHasEnded) {
  std::promise<void> ending;
  std::promise<void> second_comes;
  std::atomic<bool> ended = false;
  session_->OnEnd([&](const Error&) {
    ending.set_value();
    second_comes.get_future().wait();
    ended = true;
  });
  const std::jthread first([&] { session_->End(Error(ErrorCode::kExpired, "too late")); });
  ending.get_future().wait();
  second_comes.set_value();
  session_->End(Error(ErrorCode::kRevoked, "the key was revoked"));
  EXPECT_TRUE(ended);
  EXPECT_THAT(session_->Rekey(), FailsWith(ErrorCode::kExpired));
}

}  // namespace
}  // namespace keyward
