#include "tpm/name_pin.h"

#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward::tpm {
namespace {

using testing_support::FailsWith;
using testing_support::TempDir;

const Bytes kName(34, 0x11);
const Bytes kOther(34, 0x22);

class NamePinTest : public ::testing::Test {
 protected:
  std::filesystem::path File() const { return folder_.path() / kNamePinFile; }
  std::string Content() const {
    std::ifstream file(File());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  size_t FileCount() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_.path()),
                                             std::filesystem::directory_iterator()));
  }

  TempDir folder_;
};

TEST_F(NamePinTest, TheFirstNameIsKeptPrivatelyAndAlone) {
  ASSERT_OK(CheckOrPinName(folder_.path(), kName));
  struct stat status{};
  ASSERT_EQ(stat(File().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600);
  EXPECT_EQ(FileCount(), 1);
  EXPECT_OK(CheckOrPinName(folder_.path(), kName));
}

TEST_F(NamePinTest, AnotherNameIsRefusedAndChangesNothing) {
  ASSERT_OK(CheckOrPinName(folder_.path(), kName));
  const std::string before = Content();
  const auto refused = CheckOrPinName(folder_.path(), kOther);
  ASSERT_THAT(refused, FailsWith(ErrorCode::kCustodianReplaced));
  EXPECT_EQ(refused.error().action(), Action::kProvision);
  EXPECT_EQ(Content(), before);
  EXPECT_EQ(FileCount(), 1);
}

TEST_F(NamePinTest, ADamagedFileIsNeitherTrustedNorOverwritten) {
  for (const std::string_view damaged : {"", "11", "zz", "1111\n1111\n"}) {
    std::ofstream(File(), std::ios::trunc) << damaged;
    EXPECT_THAT(CheckOrPinName(folder_.path(), kName), FailsWith(ErrorCode::kDataCorrupt));
    EXPECT_EQ(Content(), damaged);
  }
}

TEST_F(NamePinTest, AMissingFolderIsSaid) {
  EXPECT_THAT(CheckOrPinName(folder_.path() / "missing", kName), FailsWith(ErrorCode::kIo));
}

TEST_F(NamePinTest, OfTwoFirstUsesOneWins) {
  Result<void> one;
  Result<void> other;
  {
    const std::jthread first([&] { one = CheckOrPinName(folder_.path(), kName); });
    const std::jthread second([&] { other = CheckOrPinName(folder_.path(), kOther); });
  }
  EXPECT_NE(one.has_value(), other.has_value());
  EXPECT_THAT(one ? other : one, FailsWith(ErrorCode::kCustodianReplaced));
  EXPECT_OK(CheckOrPinName(folder_.path(), one ? kName : kOther));
}

}  // namespace
}  // namespace keyward::tpm
