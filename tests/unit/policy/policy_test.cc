#include "policy/policy.h"

#include "policy/name_rules.h"
#include "tests/support/matchers.h"

namespace keyward::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pointee;
using testing_support::FailsWith;

constexpr uint32_t kFrontendUser = 1001;
constexpr uint32_t kBothUser = 1003;
constexpr uint32_t kWebGroup = 300;
constexpr uint32_t kAdminGroup = 200;

const Caller kFrontend{.uid = kFrontendUser, .gids = {1001}};
const Caller kBoth{.uid = kBothUser, .gids = {1003}};
const Caller kWebMember{.uid = 5000, .gids = {5000, kWebGroup}};
const Caller kAdmin{.uid = 6000, .gids = {6000, kAdminGroup}};
const Caller kStranger{.uid = 7000, .gids = {7000}};

// `kBoth` is frontend and backend at once; `kWebMember` is frontend by its group.
Policy ThePolicy() {
  Module frontend{.name = "frontend",
                  .members = {.uids = {kFrontendUser, kBothUser}, .gids = {kWebGroup}},
                  .keys = {{"shared", {Purpose::kAico}},
                           {"web", {Purpose::kTls13Server, Purpose::kTls13Client}}},
                  .peers = {"backend"},
                  .limits = {}};
  Module backend{.name = "backend",
                 .members = {.uids = {kBothUser}, .gids = {}},
                 .keys = {{"shared", {Purpose::kAico}}, {"vault", {Purpose::kRaw}}},
                 .peers = {"frontend"},
                 .limits = {}};
  return Policy({.admins = {.uids = {0}, .gids = {kAdminGroup}},
                 .hsm = {},
                 .tpm = {},
                 .modules = {frontend, backend},
                 .rotation = {},
                 .key_rotation = {}});
}

std::vector<std::string> NamesOf(const std::vector<const Module*>& modules) {
  std::vector<std::string> names;
  names.reserve(modules.size());
  for (const Module* module : modules) names.push_back(module->name);
  return names;
}

std::vector<std::string> NamesOf(const Result<std::vector<const Module*>>& modules) {
  return modules ? NamesOf(*modules) : std::vector{modules.error().ToString()};
}

TEST(PolicyTest, AnEmptyPolicyDeniesAll) {
  const Policy policy;
  const Caller root{.uid = 0, .gids = {0}};
  EXPECT_FALSE(policy.IsAdmin(root));
  EXPECT_THAT(policy.ModulesOf(root), IsEmpty());
  EXPECT_FALSE(policy.MaySee(root, "web"));
  EXPECT_THAT(policy.MayUseKey(root, "web", Purpose::kTls13Server),
              FailsWith(ErrorCode::kPermissionDenied));
}

TEST(PolicyTest, AdminsAreNamedByUserOrGroup) {
  const Policy policy = ThePolicy();
  EXPECT_TRUE(policy.IsAdmin(kAdmin));
  EXPECT_TRUE(policy.IsAdmin({.uid = 0, .gids = {}}));
  EXPECT_FALSE(policy.IsAdmin(kFrontend));
  // A uid is no gid.
  EXPECT_FALSE(policy.IsAdmin({.uid = kAdminGroup, .gids = {7}}));
}

TEST(PolicyTest, ACallerIsEveryModuleThatNamesItsUserOrGroup) {
  const Policy policy = ThePolicy();
  EXPECT_THAT(NamesOf(policy.ModulesOf(kFrontend)), ElementsAre("frontend"));
  EXPECT_THAT(NamesOf(policy.ModulesOf(kWebMember)), ElementsAre("frontend"));
  EXPECT_THAT(NamesOf(policy.ModulesOf(kBoth)), ElementsAre("backend", "frontend"));
  EXPECT_THAT(policy.ModulesOf(kStranger), IsEmpty());
  EXPECT_THAT(policy.ModulesOf(kAdmin), IsEmpty());
}

TEST(PolicyTest, ModulesAreFoundByName) {
  const Policy policy = ThePolicy();
  EXPECT_THAT(policy.FindModule("backend"), Pointee(::testing::Field(&Module::name, "backend")));
  EXPECT_THAT(policy.FindModule("frontend"), Pointee(::testing::Field(&Module::name, "frontend")));
  for (const char* name : {"", "a", "backen", "backend2", "zebra"}) {
    EXPECT_EQ(policy.FindModule(name), nullptr) << name;
  }
}

TEST(PolicyTest, AKeyIsUsableForItsGrantedPurposesOnly) {
  const Policy policy = ThePolicy();
  EXPECT_OK(policy.MayUseKey(kFrontend, "web", Purpose::kTls13Server));
  EXPECT_OK(policy.MayUseKey(kWebMember, "web", Purpose::kTls13Client));
  for (const Purpose purpose : {Purpose::kAico, Purpose::kRaw}) {
    EXPECT_THAT(policy.MayUseKey(kFrontend, "web", purpose),
                FailsWith(ErrorCode::kPermissionDenied));
  }
}

TEST(PolicyTest, TheModulesWithTheGrantAreThoseThatMayAct) {
  const Policy policy = ThePolicy();
  EXPECT_THAT(NamesOf(policy.MayUseKey(kBoth, "web", Purpose::kTls13Server)),
              ElementsAre("frontend"));
  EXPECT_THAT(NamesOf(policy.MayUseKey(kBoth, "vault", Purpose::kRaw)), ElementsAre("backend"));
  EXPECT_THAT(NamesOf(policy.MayUseKey(kBoth, "shared", Purpose::kAico)),
              ElementsAre("backend", "frontend"));
}

TEST(PolicyTest, RefusalsDoNotTellWhichKeysExist) {
  const Policy policy = ThePolicy();
  const auto others = policy.MayUseKey(kFrontend, "vault", Purpose::kRaw);
  const auto missing = policy.MayUseKey(kFrontend, "no-such-key", Purpose::kRaw);
  const auto wrong_purpose = policy.MayUseKey(kFrontend, "web", Purpose::kRaw);
  const auto stranger = policy.MayUseKey(kStranger, "web", Purpose::kTls13Server);
  ASSERT_THAT(others, FailsWith(ErrorCode::kPermissionDenied));
  for (const auto& refusal : {missing, wrong_purpose, stranger}) {
    ASSERT_FALSE(refusal);
    EXPECT_EQ(refusal.error().ToString(), others.error().ToString());
  }
}

TEST(PolicyTest, AnAdminMaySeeEveryKeyAndUseNone) {
  const Policy policy = ThePolicy();
  EXPECT_TRUE(policy.MaySee(kAdmin, "vault"));
  EXPECT_THAT(policy.MayUseKey(kAdmin, "vault", Purpose::kRaw),
              FailsWith(ErrorCode::kPermissionDenied));
}

TEST(PolicyTest, OthersSeeWhatTheyHaveAnyGrantOn) {
  const Policy policy = ThePolicy();
  EXPECT_TRUE(policy.MaySee(kFrontend, "web"));
  EXPECT_FALSE(policy.MaySee(kFrontend, "vault"));
  EXPECT_FALSE(policy.MaySee(kStranger, "web"));
}

TEST(PolicyTest, ASessionNeedsKeyAndPeerInOneModule) {
  const Policy policy = ThePolicy();
  EXPECT_OK(policy.MayOpenSession(kFrontend, "shared", Purpose::kAico, "backend"));
  // Both modules of this caller may use the key; the peer decides.
  EXPECT_THAT(NamesOf(policy.MayOpenSession(kBoth, "shared", Purpose::kAico, "backend")),
              ElementsAre("frontend"));
  EXPECT_THAT(NamesOf(policy.MayOpenSession(kBoth, "shared", Purpose::kAico, "frontend")),
              ElementsAre("backend"));
}

TEST(PolicyTest, ASessionFailsWithoutTheGrantOrThePeer) {
  const Policy policy = ThePolicy();
  EXPECT_THAT(policy.MayOpenSession(kFrontend, "shared", Purpose::kAico, "frontend"),
              FailsWith(ErrorCode::kPeerNotAllowed));
  EXPECT_THAT(policy.MayOpenSession(kFrontend, "web", Purpose::kAico, "backend"),
              FailsWith(ErrorCode::kPermissionDenied));
  // The peer of one module does not lend itself to the key of another.
  EXPECT_THAT(policy.MayOpenSession(kBoth, "vault", Purpose::kRaw, "backend"),
              FailsWith(ErrorCode::kPeerNotAllowed));
}

TEST(PolicyTest, PeersAreThoseThatTheModuleLists) {
  const Policy policy = ThePolicy();
  const Module& frontend = *policy.FindModule("frontend");
  EXPECT_OK(MayTalkTo(frontend, "backend"));
  EXPECT_THAT(MayTalkTo(frontend, "frontend"), FailsWith(ErrorCode::kPeerNotAllowed));
  EXPECT_THAT(MayTalkTo(frontend, ""), FailsWith(ErrorCode::kPeerNotAllowed));
}

TEST(NameRulesTest, NamesAreShortLowerCaseAndBeginWithALetterOrDigit) {
  for (const std::string& name :
       {std::string("a"), std::string("0"), std::string("web-1.v2_x"), std::string(64, 'n')}) {
    EXPECT_TRUE(IsName(name)) << name;
  }
  for (const std::string& name :
       {std::string(), std::string("-a"), std::string(".."), std::string("_a"), std::string("A"),
        std::string("a b"), std::string("a/b"), std::string("\xc3\xa9"), std::string("a\0", 2),
        std::string(65, 'n')}) {
    EXPECT_FALSE(IsName(name)) << name;
  }
}

}  // namespace
}  // namespace keyward::policy
