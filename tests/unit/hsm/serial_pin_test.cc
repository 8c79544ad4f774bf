#include "hsm/serial_pin.h"

#include <sys/stat.h>

#include <fstream>

#include "tests/unit/hsm/hsm_fixture.h"

namespace keyward::hsm {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class SerialPinTest : public HsmFixture {
 protected:
  fs::path File() const { return token_.state_directory() / kSerialPinFile; }
  std::string Pinned() const {
    std::ifstream file(File());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Raised by a wrong PIN that was tried.
  static bool AWrongPinWasTried() {
    return (OpenSession().Token().value().flags & CKF_USER_PIN_COUNT_LOW) != 0;
  }
};

TEST_F(SerialPinTest, TheFirstLoginPinsTheToken) {
  ASSERT_OK(HsmFactory(Options(), rng_).Make());
  EXPECT_EQ(Pinned(), OpenSession().Token().value().serial + "\n");
  struct stat status{};
  ASSERT_EQ(stat(File().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_OK(HsmFactory(Options(), rng_).Make()) << "the same one again";
}

TEST_F(SerialPinTest, ATokenThatRefusesThePinIsNotPinned) {
  token_.WritePin("1111");
  ASSERT_THAT(HsmFactory(Options(), rng_).Make(), FailsWith(ErrorCode::kPinRejected));
  EXPECT_FALSE(fs::exists(File()));
}

TEST_F(SerialPinTest, AnotherTokenUnderTheSameLabelIsRefusedBeforeAPinIsTried) {
  ASSERT_OK(HsmFactory(Options(), rng_).Make());
  const std::string pinned = Pinned();
  token_.ReplaceByAnother();
  token_.WritePin("1111");
  const auto refused = HsmFactory(Options(), rng_).Make();
  ASSERT_THAT(refused, FailsWith(ErrorCode::kCustodianCleared));
  EXPECT_EQ(refused.error().action(), Action::kProvision);
  EXPECT_THAT(refused.error().message(), HasSubstr("initialised anew"));
  EXPECT_FALSE(AWrongPinWasTried());
  EXPECT_EQ(Pinned(), pinned);
}

TEST_F(SerialPinTest, ATokenThatIsReplacedMeanwhileIsRefusedToo) {
  const auto custodian = MakeCustodian();
  token_.TakeAway();
  EXPECT_THAT(custodian->CheckHealth(), FailsWith(ErrorCode::kCustodianUnavailable));
  token_.ReplaceByAnother();
  EXPECT_THAT(custodian->CheckHealth(), FailsWith(ErrorCode::kCustodianCleared));
  fs::remove_all(token_.folder() / "tokens");
  fs::rename(token_.folder() / "away", token_.folder() / "tokens");
  EXPECT_OK(custodian->CheckHealth()) << "the former one is back";
}

TEST_F(SerialPinTest, AnAdminAcceptsTheNewTokenByRemovingTheFile) {
  ASSERT_OK(HsmFactory(Options(), rng_).Make());
  token_.ReplaceByAnother();
  HsmFactory factory(Options(), rng_);
  ASSERT_THAT(factory.Make(), FailsWith(ErrorCode::kCustodianCleared));
  fs::remove(File());
  EXPECT_OK(factory.Make());
  EXPECT_EQ(Pinned(), OpenSession().Token().value().serial + "\n");
}

// Its serial number does not tell, so what it held has to.
TEST_F(SerialPinTest, SoftHsmKeepsTheSerialOfATokenThatIsInitialisedAgainInItsSlot) {
  const KeyId id = NewId();
  const SecretBytes master = SecretBytes::Random(kMasterKeySize, rng_).value();
  auto custodian = MakeCustodian();
  ASSERT_OK(custodian->counter().Create(id));
  ASSERT_OK_AND_ASSIGN(const Bytes record,
                       custodian->master_sealer().SealMaster(id, master, std::nullopt));
  custodian.reset();
  token_.InitialiseAgain();
  custodian = MakeCustodian();
  ASSERT_NE(custodian, nullptr);
  EXPECT_THAT(custodian->counter().Read(id), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(custodian->master_sealer().UnsealMaster(id, record, {}),
              FailsWith(ErrorCode::kNotFound));
}

TEST_F(SerialPinTest, ADamagedFileIsNamed) {
  for (const std::string& text : {std::string(), std::string("no line"), std::string(100, 'x')}) {
    std::ofstream(File(), std::ios::trunc) << text;
    const auto refused = HsmFactory(Options(), rng_).Make();
    ASSERT_THAT(refused, FailsWith(ErrorCode::kDataCorrupt));
    EXPECT_THAT(refused.error().message(), HasSubstr("hsm-token-serial"));
  }
}

TEST_F(SerialPinTest, OneOfTwoThatPinAtOnceWins) {
  ASSERT_OK(PinSerial(token_.state_directory(), "one"));
  EXPECT_OK(PinSerial(token_.state_directory(), "one"));
  EXPECT_THAT(PinSerial(token_.state_directory(), "two"), FailsWith(ErrorCode::kCustodianCleared));
}

}  // namespace
}  // namespace keyward::hsm
