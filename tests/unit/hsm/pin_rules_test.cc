// A wrong PIN is tried once, and once more after the right one. SoftHSM counts no tries, but it
// tells of one: a wrong PIN raises CKF_USER_PIN_COUNT_LOW, and the right one lowers it. It writes
// the token's file for each. So whether a PIN was tried shows from outside.
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
  // By its owner, who logs in for it.
  static void ChangePin(std::string_view from, std::string_view to) {
    const auto module = HsmModule::Load(SoftHsmToken::kModulePath).value();
    const CK_SLOT_ID slot = FindToken(*module, SoftHsmToken::kLabel).value();
    const HsmModule::Call call = module->Enter().value();
    const auto text = [](std::string_view pin) {
      return reinterpret_cast<CK_UTF8CHAR*>(const_cast<char*>(pin.data()));
    };
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    ASSERT_EQ(
        call->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session),
        CKR_OK);
    EXPECT_EQ(call->C_Login(session, CKU_USER, text(from), from.size()), CKR_OK);
    EXPECT_EQ(call->C_SetPIN(session, text(from), from.size(), text(to), to.size()), CKR_OK);
    EXPECT_EQ(call->C_CloseSession(session), CKR_OK);
  }
  // Changes with every try.
  fs::file_time_type LastTry() const {
    return fs::last_write_time(fs::directory_iterator(token_.folder() / "tokens")->path() /
                               "token.object");
  }
  void ExpectNoTry(HsmFactory& factory) {
    const fs::file_time_type before = LastTry();
    EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected));
    EXPECT_EQ(LastTry(), before) << "the PIN was tried again";
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
  const fs::file_time_type before = LastTry();
  EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected));
  EXPECT_NE(LastTry(), before) << "a try does not show";
  EXPECT_TRUE(AWrongPinWasTried());
  for (int i = 0; i < 5; ++i) ExpectNoTry(factory);
}

TEST_F(PinRulesTest, AWrongPinIsNotTriedAgainByALaterProcess) {
  token_.WritePin("1111");
  EXPECT_THAT(HsmFactory(Options(), rng_).Make(), FailsWith(ErrorCode::kPinRejected));
  HsmFactory later(Options(), rng_);
  for (int i = 0; i < 5; ++i) ExpectNoTry(later);
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
  const fs::file_time_type before = LastTry();
  std::thread first(refused);
  std::thread second(refused);
  first.join();
  second.join();
  EXPECT_EQ(LastTry(), before);
}

TEST_F(PinRulesTest, APinThatIsSetBackToTheFilesIsTakenWithoutATouch) {
  ChangePin(SoftHsmToken::kPin, "1357");
  HsmFactory factory(Options(), rng_);
  EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected));
  ExpectNoTry(factory);
  ChangePin("1357", SoftHsmToken::kPin);
  ExpectNoTry(factory);  // two of three sightings
  ExpectNoTry(factory);
  EXPECT_OK(factory.Make());
  EXPECT_FALSE(fs::exists(RejectionFile()));
}

TEST_F(PinRulesTest, APinThatIsSetBackWhileNobodyLooksIsTakenByALaterProcess) {
  ChangePin(SoftHsmToken::kPin, "1357");
  EXPECT_THAT(HsmFactory(Options(), rng_).Make(), FailsWith(ErrorCode::kPinRejected));
  ChangePin("1357", SoftHsmToken::kPin);
  HsmFactory later(Options(), rng_);
  ExpectNoTry(later);
  ExpectNoTry(later);
  EXPECT_OK(later.Make());
}

TEST_F(PinRulesTest, AWrongPinCostsTwoTriesAtMostWhateverTheTokenTells) {
  token_.WritePin("1111");
  HsmFactory factory(Options(), rng_);
  EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected));
  LogInByHand();
  ExpectNoTry(factory);
  ExpectNoTry(factory);
  EXPECT_THAT(factory.Make(), FailsWith(ErrorCode::kPinRejected));
  EXPECT_TRUE(AWrongPinWasTried()) << "once more, as somebody has logged in";
  LogInByHand();
  for (int i = 0; i < 5; ++i) ExpectNoTry(factory);
  HsmFactory later(Options(), rng_);
  for (int i = 0; i < 5; ++i) ExpectNoTry(later);
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
  ExpectNoTry(factory);
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
