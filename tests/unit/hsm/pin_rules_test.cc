// A wrong PIN is tried once. SoftHSM counts no tries, but it tells of one: a wrong PIN raises
// CKF_USER_PIN_COUNT_LOW, and the right one lowers it. So whether a PIN was tried shows from
// outside.
#include <sys/stat.h>

#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "hsm/session.h"
#include "tests/unit/hsm/hsm_fixture.h"

namespace keyward::hsm {
namespace {

namespace fs = std::filesystem;

class PinRulesTest : public HsmFixture {
 protected:
  // Lowers the token's flag with a login of the test's own.
  void LogInByHand() {
    const auto module = HsmModule::Load(SoftHsmToken::kModulePath).value();
    const Session session =
        Session::Open(module, FindToken(*module, SoftHsmToken::kLabel).value()).value();
    ASSERT_OK(session.Login(SecretBytes::CopyOf(AsBytes(SoftHsmToken::kPin)).value()));
  }
  std::set<std::string> StateFiles() const {
    std::set<std::string> names;
    for (const auto& file : fs::directory_iterator(token_.state_directory())) {
      names.insert(file.path().filename());
    }
    return names;
  }
  bool AWrongPinWasTried() {
    const auto module = HsmModule::Load(SoftHsmToken::kModulePath).value();
    const Session session =
        Session::Open(module, FindToken(*module, SoftHsmToken::kLabel).value()).value();
    return (session.Token().value().flags & CKF_USER_PIN_COUNT_LOW) != 0;
  }
};

TEST_F(PinRulesTest, TheRightPinLogsInAndLeavesNoRecord) {
  EXPECT_OK(HsmFactory(Options(), rng_).Make());
  EXPECT_EQ(StateFiles(), std::set<std::string>{"hsm-token-serial"});
}

TEST_F(PinRulesTest, AWrongPinIsTriedOnceByOneFactory) {
  token_.WritePin("1111");
  HsmFactory factory(Options(), rng_);
  EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected));
  EXPECT_TRUE(AWrongPinWasTried());
  LogInByHand();
  EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected));
  EXPECT_FALSE(AWrongPinWasTried()) << "the PIN was tried again";
}

TEST_F(PinRulesTest, AWrongPinIsNotTriedAgainByALaterProcess) {
  token_.WritePin("1111");
  EXPECT_THAT(HsmFactory(Options(), rng_).Make(), FailsWith(ErrorCode::kPinRejected));
  LogInByHand();
  EXPECT_THAT(HsmFactory(Options(), rng_).Make(), FailsWith(ErrorCode::kPinRejected));
  EXPECT_FALSE(AWrongPinWasTried()) << "the PIN was tried again";
  struct stat status{};
  ASSERT_EQ(stat(RejectionFile().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(StateFiles(), std::set<std::string>{"hsm-pin-rejected"});
}

TEST_F(PinRulesTest, ThreadsDoNotTryARefusedPinAgain) {
  token_.WritePin("1111");
  HsmFactory factory(Options(), rng_);
  const auto refused = [&] { EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected)); };
  refused();
  LogInByHand();
  std::thread first(refused);
  std::thread second(refused);
  first.join();
  second.join();
  EXPECT_FALSE(AWrongPinWasTried());
}

TEST_F(PinRulesTest, ACorrectedFileIsTried) {
  token_.WritePin("1111");
  HsmFactory factory(Options(), rng_);
  EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected));
  token_.WritePin(SoftHsmToken::kPin);  // without a newline, which is right as well
  EXPECT_OK(factory.Make());
}

TEST_F(PinRulesTest, AnotherWrongPinIsTriedOnceToo) {
  token_.WritePin("1111");
  HsmFactory factory(Options(), rng_);
  EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected));
  LogInByHand();
  token_.WritePin("2222");
  EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected));
  EXPECT_TRUE(AWrongPinWasTried());
  LogInByHand();
  EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected));
  EXPECT_FALSE(AWrongPinWasTried());
}

TEST_F(PinRulesTest, NoPinIsTriedWhenARefusalCouldNotBeRecorded) {
  token_.WritePin("1111");
  HsmOptions options = Options();
  options.state_directory = token_.folder() / "missing";
  EXPECT_THAT(HsmFactory(options, rng_).Make(), FailsWith(ErrorCode::kIo));
  EXPECT_FALSE(AWrongPinWasTried());
}

TEST_F(PinRulesTest, NoPinIsTriedWhenARefusalCouldNotBeWritten) {
  token_.WritePin("1111");
  fs::create_directories(token_.state_directory() / "hsm-pin-rejected.new" / "in the way");
  const auto refused = HsmFactory(Options(), rng_).Make();
  ASSERT_THAT(refused, FailsWith(ErrorCode::kIo));
  EXPECT_EQ(refused.error().action(), Action::kProvision);
  EXPECT_FALSE(AWrongPinWasTried());
}

TEST_F(PinRulesTest, ARehearsalThatAKillLeftBehindIsNoRefusal) {
  std::ofstream(token_.state_directory() / "hsm-pin-rejected.new") << "half of a l";
  EXPECT_OK(HsmFactory(Options(), rng_).Make());
  EXPECT_EQ(StateFiles(), std::set<std::string>{"hsm-token-serial"});
}

TEST_F(PinRulesTest, ALockedPinIsNotTried) {
  token_.WritePin("1111");
  token_.LockPin();
  const auto locked = HsmFactory(Options(), rng_).Make();
  ASSERT_THAT(locked, FailsWith(ErrorCode::kLockedOut));
  EXPECT_EQ(locked.error().action(), Action::kProvision);
  EXPECT_FALSE(AWrongPinWasTried());
  EXPECT_FALSE(fs::exists(RejectionFile()));
}

TEST_F(PinRulesTest, APinThatIsLockedWhileItServesIsAConcern) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, HsmFactory(Options(), rng_).Make());
  ASSERT_OK(custodian->CheckHealth());
  EXPECT_FALSE(custodian->Notes().concern);
  token_.LockPin();
  ASSERT_OK(custodian->CheckHealth());
  ASSERT_TRUE(custodian->Notes().concern);
  EXPECT_EQ(custodian->Notes().concern->code(), ErrorCode::kLockedOut);
}

TEST_F(PinRulesTest, ADamagedRecordStopsEveryTry) {
  std::ofstream(RejectionFile()) << "no line";
  EXPECT_THAT(HsmFactory(Options(), rng_).Make(), FailsWith(ErrorCode::kDataCorrupt));
  fs::remove(RejectionFile());
  EXPECT_OK(HsmFactory(Options(), rng_).Make());
}

TEST_F(PinRulesTest, NoErrorShowsThePin) {
  token_.WritePin("70707070");
  const auto refused = HsmFactory(Options(), rng_).Make();
  ASSERT_THAT(refused, FailsWith(ErrorCode::kPinRejected));
  EXPECT_EQ(refused.error().action(), Action::kProvision);
  EXPECT_EQ((refused.error().ToString() + refused.error().cause()).find("70707070"),
            std::string::npos);
  std::ifstream record(RejectionFile());
  const std::string text(std::istreambuf_iterator<char>(record), {});
  EXPECT_EQ(text.find("70707070"), std::string::npos);
}

}  // namespace
}  // namespace keyward::hsm
