#include "dbus/names.h"

#include <gtest/gtest.h>

namespace keyward::bus {
namespace {

// What sd_bus_path_encode("/org/keyward/Keyd1/key", NAME) gives.
TEST(KeyObjectPathTest, EscapesAsSystemdDoes) {
  EXPECT_EQ(KeyObjectPath("frontend"), "/org/keyward/Keyd1/key/frontend");
  EXPECT_EQ(KeyObjectPath("tls-server.2"), "/org/keyward/Keyd1/key/tls_2dserver_2e2");
  EXPECT_EQ(KeyObjectPath("2fast"), "/org/keyward/Keyd1/key/_32fast");
  EXPECT_EQ(KeyObjectPath("a_b"), "/org/keyward/Keyd1/key/a_5fb");
  EXPECT_EQ(KeyObjectPath("\xc3\xa9"), "/org/keyward/Keyd1/key/_c3_a9");
  EXPECT_EQ(KeyObjectPath(""), "/org/keyward/Keyd1/key/_");
}

}  // namespace
}  // namespace keyward::bus
