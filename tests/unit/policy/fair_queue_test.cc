#include "policy/fair_queue.h"

#include <memory>
#include <string>
#include <vector>

#include "tests/support/matchers.h"

namespace keyward::policy {
namespace {

using testing_support::FailsWith;

std::vector<std::string> Drain(FairQueue<std::string>& queue) {
  std::vector<std::string> items;
  while (std::optional<std::string> item = queue.Pop()) items.push_back(*item);
  return items;
}

TEST(FairQueueTest, OneCallersItemsKeepTheirOrder) {
  FairQueue<std::string> queue({});
  for (const char* item : {"a", "b", "c"}) ASSERT_OK(queue.Push(1, item));
  EXPECT_THAT(Drain(queue), ::testing::ElementsAre("a", "b", "c"));
}

TEST(FairQueueTest, CallersTakeTurnsHoweverManyItemsOneHas) {
  FairQueue<std::string> queue({});
  for (const char* item : {"greedy 1", "greedy 2", "greedy 3"}) ASSERT_OK(queue.Push(1, item));
  ASSERT_OK(queue.Push(2, "modest 1"));
  ASSERT_OK(queue.Push(3, "late 1"));
  EXPECT_THAT(Drain(queue),
              ::testing::ElementsAre("greedy 1", "modest 1", "late 1", "greedy 2", "greedy 3"));
}

TEST(FairQueueTest, ComingBackDoesNotJumpTheLine) {
  FairQueue<std::string> queue({});
  ASSERT_OK(queue.Push(1, "1a"));
  ASSERT_OK(queue.Push(2, "2a"));
  ASSERT_OK(queue.Push(2, "2b"));
  EXPECT_EQ(queue.Pop(), "1a");
  ASSERT_OK(queue.Push(1, "1b"));
  EXPECT_THAT(Drain(queue), ::testing::ElementsAre("2a", "1b", "2b"));
}

TEST(FairQueueTest, AFullShareIsBusyForItsCallerAlone) {
  FairQueue<std::string> queue({.total = 10, .per_caller = 2, .retry_after_ms = 70});
  ASSERT_OK(queue.Push(1, "a"));
  ASSERT_OK(queue.Push(1, "b"));
  const Result<void> refused = queue.Push(1, "c");
  ASSERT_THAT(refused, FailsWith(ErrorCode::kBusy));
  EXPECT_EQ(refused.error().retry_after_ms(), 70U);
  EXPECT_OK(queue.Push(2, "d"));
  EXPECT_EQ(queue.Pop(), "a");
  EXPECT_OK(queue.Push(1, "c"));
}

TEST(FairQueueTest, AFullWholeIsBusyForAll) {
  FairQueue<std::string> queue({.total = 3, .per_caller = 2});
  for (uint32_t caller = 0; caller < 3; ++caller) ASSERT_OK(queue.Push(caller, "x"));
  EXPECT_THAT(queue.Push(9, "y"), FailsWith(ErrorCode::kBusy));
  EXPECT_EQ(queue.size(), 3U);
  ASSERT_TRUE(queue.Pop());
  EXPECT_OK(queue.Push(9, "y"));
}

TEST(FairQueueTest, ARefusedItemStaysWithItsOwner) {
  FairQueue<std::unique_ptr<int>> queue({.total = 0, .per_caller = 1});
  auto item = std::make_unique<int>(7);
  const Result<void> refused = queue.Push(1, std::move(item));
  EXPECT_THAT(refused, FailsWith(ErrorCode::kBusy));
  EXPECT_THAT(item, ::testing::Pointee(7));  // NOLINT(bugprone-use-after-move): the promise
}

TEST(FairQueueTest, EmptyGivesNothing) {
  FairQueue<std::string> queue({});
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.Pop(), std::nullopt);
  ASSERT_OK(queue.Push(1, "a"));
  EXPECT_FALSE(queue.empty());
  ASSERT_TRUE(queue.Pop());
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace keyward::policy
