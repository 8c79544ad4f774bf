#include "keyd/held_secret.h"

#include <memory>

#include "tests/support/matchers.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

// What is held is alive as long as somebody looks at it.
class HeldSecretTest : public ::testing::Test {
 protected:
  HeldSecretTest() {
    auto secret = std::make_shared<int>(7);
    alive_ = secret;
    held_ = std::make_unique<HeldSecret<std::shared_ptr<int>>>(std::move(secret));
  }
  Result<int> Read(const std::function<void()>& meanwhile = [] {}) {
    return held_->With([&](const std::shared_ptr<int>& secret) -> Result<int> {
      meanwhile();
      return *secret;
    });
  }

  std::weak_ptr<int> alive_;
  std::unique_ptr<HeldSecret<std::shared_ptr<int>>> held_;
};

TEST_F(HeldSecretTest, IsUsedUntilItEnds) {
  EXPECT_OK(held_->CheckHeld());
  EXPECT_EQ(Read().value(), 7);
  EXPECT_EQ(Read().value(), 7);
  held_->End();
  EXPECT_TRUE(alive_.expired());
  EXPECT_THAT(held_->CheckHeld(), FailsWith(ErrorCode::kSealed));
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kSealed));
  held_->End();
}

TEST_F(HeldSecretTest, AnEndAmidAUseWaitsForNothingAndNothingComesOfTheUse) {
  bool alive_meanwhile = false;
  EXPECT_THAT(Read([&] {
                held_->End();
                alive_meanwhile = !alive_.expired();
              }),
              FailsWith(ErrorCode::kSealed));
  EXPECT_TRUE(alive_meanwhile);
  EXPECT_TRUE(alive_.expired());
}

}  // namespace
}  // namespace keyward
