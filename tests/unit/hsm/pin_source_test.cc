#include "hsm/pin_source.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward::hsm {
namespace {

namespace fs = std::filesystem;
using testing_support::FailsWith;
using testing_support::TempDir;

class PinSourceTest : public ::testing::Test {
 protected:
  ~PinSourceTest() override { unsetenv("CREDENTIALS_DIRECTORY"); }

  fs::path Write(const std::string& name, std::string_view text, mode_t mode = 0600) {
    const fs::path path = folder_.path() / name;
    std::ofstream(path) << text;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }
  static HsmOptions File(const fs::path& path) {
    HsmOptions options;
    options.pin_file = path;
    return options;
  }
  static HsmOptions Credential(const std::string& name) {
    HsmOptions options;
    options.pin_credential = name;
    return options;
  }
  static void ExpectPin(const HsmOptions& options, std::string_view pin) {
    const Result<Pin> read = ReadPin(options);
    ASSERT_OK(read);
    EXPECT_TRUE(read->secret.Equals(AsBytes(pin)));
  }

  TempDir folder_;
};

TEST_F(PinSourceTest, OneTrailingNewlineIsNoPartOfThePin) {
  ExpectPin(File(Write("pin", "1234\n")), "1234");
  ExpectPin(File(Write("pin", "1234")), "1234");
  ExpectPin(File(Write("pin", " 12 34 \n\n")), " 12 34 \n");
}

TEST_F(PinSourceTest, RefusesAFileThatOthersMayOpen) {
  for (const mode_t mode : {0640U, 0604U, 0620U, 0644U}) {
    EXPECT_THAT(ReadPin(File(Write("pin", "1234", mode))), FailsWith(ErrorCode::kConfiguration));
  }
  ExpectPin(File(Write("pin", "1234", 0400)), "1234");
}

TEST_F(PinSourceTest, TakesACredentialWhateverItsMode) {
  const fs::path path = Write("hsm-pin", "1234\n", 0444);
  EXPECT_THAT(ReadPin(Credential("hsm-pin")), FailsWith(ErrorCode::kConfiguration))
      << "there are no credentials";
  setenv("CREDENTIALS_DIRECTORY", folder_.path().c_str(), 1);
  ExpectPin(Credential("hsm-pin"), "1234");
  ExpectPin(File(path), "1234");
  EXPECT_THAT(ReadPin(Credential("other")), FailsWith(ErrorCode::kConfiguration));
}

TEST_F(PinSourceTest, ACredentialNameLeadsNowhereElse) {
  Write("pin", "1234");
  fs::create_directory(folder_.path() / "credentials");
  setenv("CREDENTIALS_DIRECTORY", (folder_.path() / "credentials").c_str(), 1);
  for (const std::string& name : {std::string("../pin"), std::string(".."), std::string("."),
                                  (folder_.path() / "pin").string()}) {
    EXPECT_THAT(ReadPin(Credential(name)), FailsWith(ErrorCode::kConfiguration)) << name;
  }
}

TEST_F(PinSourceTest, RefusesWhatIsNoPin) {
  EXPECT_THAT(ReadPin(File(folder_.path() / "missing")), FailsWith(ErrorCode::kConfiguration));
  EXPECT_THAT(ReadPin(File(folder_.path())), FailsWith(ErrorCode::kConfiguration));
  EXPECT_THAT(ReadPin(File(Write("pin", ""))), FailsWith(ErrorCode::kConfiguration));
  EXPECT_THAT(ReadPin(File(Write("pin", "\n"))), FailsWith(ErrorCode::kConfiguration));
  EXPECT_THAT(ReadPin(File(Write("pin", std::string(257, '1')))),
              FailsWith(ErrorCode::kConfiguration));
  ExpectPin(File(Write("pin", std::string(255, '1') + "\n")), std::string(255, '1'));
}

TEST_F(PinSourceTest, WantsExactlyOneSource) {
  HsmOptions both = File(Write("pin", "1234"));
  both.pin_credential = "pin";
  EXPECT_THAT(ReadPin(both), FailsWith(ErrorCode::kConfiguration));
  EXPECT_THAT(ReadPin(HsmOptions{}), FailsWith(ErrorCode::kConfiguration));
}

TEST_F(PinSourceTest, TheIdentityChangesWithTheFileAndOnlyThen) {
  const fs::path path = Write("pin", "1234");
  const std::string before = ReadPin(File(path)).value().file_identity;
  EXPECT_EQ(ReadPin(File(path)).value().file_identity, before);
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::nanoseconds(1));
  const std::string touched = ReadPin(File(path)).value().file_identity;
  EXPECT_NE(touched, before);
  Write("pin", "12345");
  EXPECT_NE(ReadPin(File(path)).value().file_identity, touched);
}

}  // namespace
}  // namespace keyward::hsm
