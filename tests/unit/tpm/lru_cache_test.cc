#include "tpm/lru_cache.h"

#include <gtest/gtest.h>

#include <memory>

namespace keyward::tpm {
namespace {

Digest Key(uint8_t number) { return {number}; }

TEST(LruCacheTest, TheLeastRecentlyUsedGoesFirst) {
  LruCache<int> cache(2);
  cache.Put(Key(1), 1);
  cache.Put(Key(2), 2);
  ASSERT_NE(cache.Find(Key(1)), nullptr);
  cache.Put(Key(3), 3);
  EXPECT_EQ(cache.Find(Key(2)), nullptr);
  ASSERT_NE(cache.Find(Key(1)), nullptr);
  EXPECT_EQ(*cache.Find(Key(3)), 3);
}

TEST(LruCacheTest, MakingRoomDestroysWhatGoes) {
  const auto shared = std::make_shared<int>(7);
  LruCache<std::shared_ptr<int>> cache(1);
  cache.Put(Key(1), shared);
  EXPECT_EQ(shared.use_count(), 2);
  cache.MakeRoom();
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(LruCacheTest, PuttingAgainReplacesWithoutEvictingAnother) {
  LruCache<int> cache(2);
  cache.Put(Key(1), 1);
  cache.Put(Key(2), 2);
  cache.Put(Key(2), 22);
  EXPECT_NE(cache.Find(Key(1)), nullptr);
  EXPECT_EQ(*cache.Find(Key(2)), 22);
  cache.Erase(Key(2));
  EXPECT_EQ(cache.Find(Key(2)), nullptr);
}

}  // namespace
}  // namespace keyward::tpm
