#include "keyd/post_queue.h"

#include <poll.h>

#include <thread>

#include "tests/support/matchers.h"
#include "tests/unit/keyd/run_posted.h"

namespace keyward {
namespace {

class PostQueueTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK_AND_ASSIGN(posts_, PostQueue::Create()); }
  bool IsReadable() {
    pollfd posted{.fd = posts_->fd(), .events = POLLIN, .revents = 0};
    return poll(&posted, 1, 0) == 1;
  }

  std::unique_ptr<PostQueue> posts_;
};

TEST_F(PostQueueTest, WorkRunsOnceAndInOrder) {
  std::vector<int> ran;
  for (int i = 0; i < 3; ++i) posts_->Post([&ran, i] { ran.push_back(i); });
  EXPECT_TRUE(ran.empty());
  posts_->RunPosted();
  posts_->RunPosted();
  EXPECT_THAT(ran, ::testing::ElementsAre(0, 1, 2));
}

TEST_F(PostQueueTest, TheDescriptorIsReadableWhileWorkWaits) {
  EXPECT_FALSE(IsReadable());
  posts_->Post([] {});
  EXPECT_TRUE(IsReadable());
  posts_->RunPosted();
  EXPECT_FALSE(IsReadable());
}

TEST_F(PostQueueTest, WorkThatPostsIsFollowedUpInTheNextRound) {
  int rounds = 0;
  posts_->Post([&] {
    ++rounds;
    posts_->Post([&] { ++rounds; });
  });
  posts_->RunPosted();
  EXPECT_EQ(rounds, 1);
  EXPECT_TRUE(IsReadable());
  posts_->RunPosted();
  EXPECT_EQ(rounds, 2);
}

TEST_F(PostQueueTest, WorkOfManyThreadsAllRunsOnOne) {
  constexpr int kThreads = 4;
  constexpr int kEach = 250;
  int ran = 0;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kEach; ++j) posts_->Post([&ran] { ++ran; });
    });
  }
  EXPECT_TRUE(testing_support::RunPostedUntil(*posts_, [&] { return ran == kThreads * kEach; }));
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace keyward
