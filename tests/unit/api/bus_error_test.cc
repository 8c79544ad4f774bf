#include "api/bus_error.h"

#include "tests/support/matchers.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

TEST(BusErrorTest, AnErrorOfKeydKeepsCodeMessageAndRemedy) {
  const Error error =
      ErrorFromBus("org.keyward.Keyd1.Error.PeerNotAllowed", "the policy names no such peer");
  EXPECT_EQ(error.code(), ErrorCode::kPeerNotAllowed);
  EXPECT_EQ(error.message(), "the policy names no such peer");
  EXPECT_EQ(error.action(), Action::kAskAdmin);
}

TEST(BusErrorTest, ACodeOfALaterKeydIsInternal) {
  EXPECT_EQ(ErrorFromBus("org.keyward.Keyd1.Error.Novel", "x").code(), ErrorCode::kInternal);
}

struct BusCase {
  const char* name;
  ErrorCode code;
};

class BusErrorNameTest : public ::testing::TestWithParam<BusCase> {};

TEST_P(BusErrorNameTest, HasItsCodeAndKeepsTheDetailInside) {
  const Error error = ErrorFromBus(GetParam().name, "detail of the bus");
  EXPECT_EQ(error.code(), GetParam().code);
  EXPECT_EQ(error.message().find("detail of the bus"), std::string::npos);
  EXPECT_EQ(error.cause(), std::string(GetParam().name) + ": detail of the bus");
}

INSTANTIATE_TEST_SUITE_P(
    Names, BusErrorNameTest,
    ::testing::Values(
        BusCase{"org.freedesktop.DBus.Error.ServiceUnknown", ErrorCode::kUnreachable},
        BusCase{"org.freedesktop.DBus.Error.FileNotFound", ErrorCode::kUnreachable},
        BusCase{"org.freedesktop.DBus.Error.NoReply", ErrorCode::kUnreachable},
        BusCase{"org.freedesktop.DBus.Error.Spawn.ChildExited", ErrorCode::kUnreachable},
        BusCase{"System.Error.ECONNREFUSED", ErrorCode::kUnreachable},
        BusCase{"org.freedesktop.DBus.Error.AccessDenied", ErrorCode::kPermissionDenied},
        BusCase{"org.freedesktop.DBus.Error.UnknownObject", ErrorCode::kNotFound},
        BusCase{"org.freedesktop.DBus.Error.UnknownMethod", ErrorCode::kNotSupported},
        BusCase{"com.example.Other", ErrorCode::kInternal}));

TEST(CallBusTest, GivesTheValueOrTheErrorThatWasThrown) {
  EXPECT_THAT(CallBus([] { return 7; }), testing_support::IsOkAndHolds(7));
  EXPECT_THAT(
      CallBus([]() -> int { throw bus::MakeError("org.keyward.Keyd1.Error.Busy", "full"); }),
      FailsWith(ErrorCode::kBusy));
  EXPECT_OK(CallBus([] {}));
}

}  // namespace
}  // namespace keyward
