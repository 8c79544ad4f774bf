#include "keyd/service_key.h"

#include "policy/name_rules.h"
#include "tests/unit/keyd/key_ring_fixture.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

class ServiceKeyTest : public KeyRingFixture {
 protected:
  const std::string name_{policy::kServiceKeyName};
  const Bytes statement_ = ToBytes(AsBytes("Keyward statement of a test v1\n"));

  Answer<ServiceKey::Signed> Begin() {
    ServiceKey key(*ring_, "hsm", [this](auto work) { posts_->Post(std::move(work)); });
    Answer<ServiceKey::Signed> answer;
    key.Sign(statement_, answer);
    return answer;
  }
  Result<ServiceKey::Signed> Sign() { return Await(Begin()); }
};

TEST_F(ServiceKeyTest, IsMadeOnceAndSigns) {
  ASSERT_OK_AND_ASSIGN(const ServiceKey::Signed first, Sign());
  EXPECT_OK(first.key.Verify(statement_, first.signature));
  Restart();
  ASSERT_OK_AND_ASSIGN(const ServiceKey::Signed second, Sign());
  EXPECT_EQ(second.key, first.key);
  EXPECT_EQ(hardware_.KeyCount(), 1U);
}

TEST_F(ServiceKeyTest, IsMadeAnewWhenItWasRevokedOrDestroyed) {
  ASSERT_OK_AND_ASSIGN(const ServiceKey::Signed first, Sign());
  ASSERT_OK(Revoke(name_, 0));
  ASSERT_OK_AND_ASSIGN(const ServiceKey::Signed second, Sign());
  EXPECT_NE(second.key, first.key);
  ASSERT_OK(Destroy(name_));
  ASSERT_OK_AND_ASSIGN(const ServiceKey::Signed third, Sign());
  EXPECT_OK(third.key.Verify(statement_, third.signature));
  EXPECT_EQ(ring_->Find(name_)->active->Get().value()->number(), 3U);
}

TEST_F(ServiceKeyTest, IsBusyWhileItIsMade) {
  const auto first = Begin();
  EXPECT_THAT(Sign(), FailsWith(ErrorCode::kBusy));
  EXPECT_OK(Await(first));
}

TEST_F(ServiceKeyTest, TellsThatTheHardwareIsAway) {
  ASSERT_OK(Sign());
  hardware_.SetAvailable(false);
  EXPECT_THAT(Sign(), FailsWith(ErrorCode::kCustodianUnavailable));
}

}  // namespace
}  // namespace keyward
