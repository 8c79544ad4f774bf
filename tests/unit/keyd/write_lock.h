// Somebody else who writes to a store, and keeps keyd from it.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <memory>
#include <string>

namespace keyward::testing_support {

// While it lives, no commit to the store at `path` succeeds.
class WriteLock {
 public:
  explicit WriteLock(const std::string& path) {
    sqlite3* other = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &other), SQLITE_OK);
    other_.reset(other);
    EXPECT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  }

 private:
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> other_{nullptr, sqlite3_close};
};

}  // namespace keyward::testing_support
