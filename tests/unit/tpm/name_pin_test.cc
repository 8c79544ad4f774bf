#include "tpm/name_pin.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "core/encoding.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward::tpm {
namespace {

using std::string_view_literals::operator""sv;
using testing_support::FailsWith;
using testing_support::TempDir;

const Bytes kName(34, 0x11);
const Bytes kOther(34, 0x22);
const Bytes kEndorsement(34, 0x33);
const Bytes kOtherEndorsement(34, 0x44);
const Result<std::optional<Bytes>> kNone{std::nullopt};

class NamePinTest : public ::testing::Test {
 protected:
  // Of a TPM with that primary and that endorsement key.
  Result<void> Check(const Bytes& name, const std::optional<Bytes>& endorsement = std::nullopt) {
    return CheckOrPinName(folder_.path(), name,
                          [&]() -> Result<std::optional<Bytes>> { return endorsement; });
  }
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
  ASSERT_OK(Check(kName));
  struct stat status{};
  ASSERT_EQ(stat(File().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600);
  EXPECT_EQ(FileCount(), 1);
  EXPECT_OK(Check(kName));
}

TEST_F(NamePinTest, AnotherNameIsRefusedAndChangesNothing) {
  ASSERT_OK(Check(kName));
  const std::string before = Content();
  const auto refused = Check(kOther);
  ASSERT_THAT(refused, FailsWith(ErrorCode::kCustodianReplaced));
  EXPECT_EQ(refused.error().action(), Action::kProvision);
  EXPECT_EQ(Content(), before);
  EXPECT_EQ(FileCount(), 1);
}

TEST_F(NamePinTest, ADamagedFileIsNeitherTrustedNorOverwritten) {
  for (const std::string_view damaged : {"", "11", "zz", "1111\n1111\n", "\n"}) {
    std::ofstream(File(), std::ios::trunc) << damaged;
    EXPECT_THAT(Check(kName), FailsWith(ErrorCode::kDataCorrupt));
    EXPECT_EQ(Content(), damaged);
  }
}

TEST_F(NamePinTest, ADamagedSecondLineIsNotTrustedEither) {
  const std::string too_long(300, '3');
  for (const std::string_view after : {"\n"sv, "33"sv, "zz\n"sv, std::string_view(too_long)}) {
    const std::string damaged = fmt::format("{}\n{}", ToHex(kName), after);
    std::ofstream(File(), std::ios::trunc) << damaged;
    EXPECT_THAT(Check(kName, kEndorsement), FailsWith(ErrorCode::kDataCorrupt));
    EXPECT_EQ(Content(), damaged);
  }
}

TEST_F(NamePinTest, AThirdLineIsNotTrusted) {
  const std::string name = ToHex(kName);
  const std::string damaged = fmt::format("{0}\n{0}\n{0}\n", name);
  std::ofstream(File()) << damaged;
  EXPECT_THAT(Check(kName, kEndorsement), FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_EQ(Content(), damaged);
}

TEST_F(NamePinTest, TheSameTpmWithAnotherPrimaryWasCleared) {
  ASSERT_OK(Check(kName, kEndorsement));
  const std::string before = Content();
  EXPECT_EQ(before, ToHex(kName) + "\n" + ToHex(kEndorsement) + "\n");
  const auto cleared = Check(kOther, kEndorsement);
  ASSERT_THAT(cleared, FailsWith(ErrorCode::kCustodianCleared));
  EXPECT_EQ(cleared.error().action(), Action::kProvision);
  EXPECT_THAT(Check(kOther, kOtherEndorsement), FailsWith(ErrorCode::kCustodianReplaced));
  EXPECT_THAT(Check(kOther), FailsWith(ErrorCode::kCustodianReplaced));
  EXPECT_EQ(Content(), before);
}

TEST_F(NamePinTest, AFileOfOneLineIsValidAndGetsTheSecondOnceTheFirstMatches) {
  ASSERT_OK(Check(kName));
  EXPECT_EQ(Content(), ToHex(kName) + "\n");
  EXPECT_THAT(Check(kOther, kEndorsement), FailsWith(ErrorCode::kCustodianReplaced));
  EXPECT_EQ(Content(), ToHex(kName) + "\n");
  ASSERT_OK(Check(kName, kEndorsement));
  EXPECT_EQ(Content(), ToHex(kName) + "\n" + ToHex(kEndorsement) + "\n");
  EXPECT_EQ(FileCount(), 1);
}

TEST_F(NamePinTest, TheEndorsementKeyIsNotAskedForWhereItDoesNotMatter) {
  ASSERT_OK(Check(kName, kEndorsement));
  EXPECT_OK(CheckOrPinName(folder_.path(), kName, []() -> Result<std::optional<Bytes>> {
    return Fail(ErrorCode::kCustodianUnavailable, "asked");
  }));
}

TEST_F(NamePinTest, AMissingFolderIsSaid) {
  EXPECT_THAT(CheckOrPinName(folder_.path() / "missing", kName, [] { return kNone; }),
              FailsWith(ErrorCode::kIo));
}

TEST_F(NamePinTest, OfTwoFirstUsesOneWins) {
  Result<void> one;
  Result<void> other;
  {
    const std::jthread first([&] { one = Check(kName); });
    const std::jthread second([&] { other = Check(kOther); });
  }
  EXPECT_NE(one.has_value(), other.has_value());
  EXPECT_THAT(one ? other : one, FailsWith(ErrorCode::kCustodianReplaced));
  EXPECT_OK(Check(one ? kName : kOther));
}

}  // namespace
}  // namespace keyward::tpm
