// The files that people copy from hold.
#include <fstream>
#include <iterator>
#include <sstream>

#include "policy/security_yaml.h"
#include "tests/support/matchers.h"
#include "tests/unit/policy/fake_names.h"

namespace keyward::policy {
namespace {

std::string Read(const std::string& path) {
  std::ifstream file(std::string(KEYWARD_SOURCE_DIR) + "/" + path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// With the examples that stand in comments taken out of them: "#hsm:", "#  token: keyward".
std::string Uncommented(const std::string& text) {
  std::istringstream lines(text.substr(text.find("version:")));
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    const bool prose = line.starts_with("# ") && !line.starts_with("#  ");
    if (line == "modules: {}") line = "modules:";
    if (!prose) result += line.substr(line.starts_with("#") ? 1 : 0) + "\n";
  }
  return result;
}

TEST(ShippedFilesTest, ThePackagedPolicyGrantsNobodyAnything) {
  ASSERT_OK_AND_ASSIGN(const Policy policy,
                       ReadSecurityYaml(Read("packaging/security.yaml"), FakeNames()));
  EXPECT_TRUE(policy.IsAdmin({.uid = 0, .gids = {}}));
  EXPECT_TRUE(policy.modules().empty());
}

TEST(ShippedFilesTest, ThePackagedExamplesHoldAndShowTheDefaults) {
  ASSERT_OK_AND_ASSIGN(const Policy policy,
                       ReadSecurityYaml(Uncommented(Read("packaging/security.yaml")), FakeNames()));
  EXPECT_TRUE(policy.hsm());
  EXPECT_TRUE(policy.tpm());
  ASSERT_EQ(policy.modules().size(), 2U);
  EXPECT_EQ(policy.FindModule("backend")->limits, SessionLimits());
}

TEST(ShippedFilesTest, TheDocumentedExampleHolds) {
  const std::string text = Read("docs/CONFIGURATION.md");
  const size_t begin = text.find("```yaml\n") + 8;
  ASSERT_OK_AND_ASSIGN(
      const Policy policy,
      ReadSecurityYaml(text.substr(begin, text.find("```", begin) - begin), FakeNames()));
  EXPECT_EQ(policy.modules().size(), 2U);
}

}  // namespace
}  // namespace keyward::policy
