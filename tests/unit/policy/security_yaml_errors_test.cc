// A table of what security.yaml must not say, with the line that the reader is sent to.
#include <ostream>

#include "policy/security_yaml.h"
#include "tests/support/matchers.h"
#include "tests/unit/policy/fake_names.h"

namespace keyward::policy {
namespace {

using ::testing::HasSubstr;
using testing_support::FailsWith;

struct BadFile {
  std::string name;
  std::string text;
  uint32_t line;
  std::string message;  // a part of it
};

void PrintTo(const BadFile& file, std::ostream* out) { *out << file.name; }

class BadSecurityYamlTest : public ::testing::TestWithParam<BadFile> {};

// Each file has one fault, so that a second diagnostic would be a wrong one.
TEST_P(BadSecurityYamlTest, IsRefusedWithItsLine) {
  const auto checked = CheckSecurityYaml(GetParam().text, FakeNames());
  ASSERT_FALSE(checked);
  ASSERT_EQ(checked.error().size(), 1U) << checked.error()[1].ToString();
  EXPECT_EQ(checked.error()[0].place.line, GetParam().line) << checked.error()[0].ToString();
  EXPECT_THAT(checked.error()[0].message, HasSubstr(GetParam().message));
  EXPECT_THAT(ReadSecurityYaml(GetParam().text, FakeNames()), FailsWith(ErrorCode::kConfiguration));
}

std::string NameOf(const ::testing::TestParamInfo<BadFile>& info) { return info.param.name; }

std::string WithModule(const std::string& body) {
  return "version: 1\nmodules:\n  m:\n    users: [root]\n" + body;
}
std::string With(const std::string& body) { return "version: 1\n" + body; }

INSTANTIATE_TEST_SUITE_P(
    Document, BadSecurityYamlTest,
    ::testing::Values(
        BadFile{"Empty", "", 1, "the file is empty"},
        BadFile{"TheServiceKey", WithModule("    keys:\n      keyward-service: [raw]\n"), 6,
                "is keyd's own key"},
        BadFile{"OnlyComments", "# nothing\n# here\n", 1, "the file is empty"},
        BadFile{"OnlyAMarker", "---\n", 1, "the file is empty"},
        BadFile{"AList", "- version\n", 1, "must be a map"},
        BadFile{"AText", "hello", 1, "must be a map"},
        BadFile{"TooLarge", With(std::string(kMaxSecurityYaml, '#')), 1, "over 1 MiB"},
        BadFile{"TwoDocuments", "version: 1\n---\nversion: 1\n", 2, "a second document"},
        BadFile{"Unclosed", "version: 1\nmodules: {m: {users: [root]\n", 3, "end of"},
        BadFile{"UnclosedQuoteAtTheEnd", With("modules: \"x"), 2, "EOF"},
        BadFile{"UnclosedQuote", With("tpm:\n  tcti: \"device:/dev/tpmrm0\nmodules: {}\n"), 3,
                "is a quote left open?"},
        BadFile{"UnclosedQuoteBeforeABlankLine", With("tpm:\n  tcti: 'device:/dev/tpmrm0\n\n"), 3,
                "is a quote left open?"},
        BadFile{"TextOfManyLines", With("tpm:\n  tcti: |\n    device\n"), 3, "line breaks"},
        BadFile{"StrayBracket", "version: 1\n]\n", 2, ""},
        BadFile{"BadIndentation", "version: 1\n admins: {}\n", 2, ""},
        BadFile{"TabIndentation", "version: 1\nmodules:\n\tm: {}\n", 3, ""},
        BadFile{"ControlCharacter", "version: 1\n# x\x04y\nmodules: {}\n", 2, "U+0004"},
        BadFile{"Nul", std::string("version: 1\n\0", 12), 2, "U+0000"},
        BadFile{"LoneCarriageReturn", "version: 1\n# x\rmodules: {}\n", 2, "U+000D"},
        BadFile{"Anchor", With("modules: &all {}\n"), 2, "anchors"},
        BadFile{"AnchorOnText", "version: &v 1\n", 1, "anchors"},
        BadFile{"AnchorOnNothing", With("modules: &v\n"), 2, "anchors"},
        BadFile{"Alias", With("modules: *all\n"), 2, ""},
        BadFile{"MergeKey", With("<<: {modules: {}}\n"), 2, "no key '<<'"},
        BadFile{"Tag", With("modules: !!map {}\n"), 2, "tags"},
        BadFile{"TagOnText", "version: !!int 1\n", 1, "tags"},
        BadFile{"TooDeep", With("modules: " + std::string(20, '[') + std::string(20, ']') + "\n"),
                2, "nested too deep"},
        BadFile{"BottomlesslyDeep", With("modules: " + std::string(100'000, '[')), 2, ""},
        BadFile{"TooMany",
                With("modules: [" +
                     [] {
                       std::string items;
                       for (int i = 0; i < 70'000; ++i) items += "a,";
                       return items;
                     }() +
                     "]\n"),
                2, "too many entries"},
        BadFile{"KeyIsAList", With("[a, b]: c\n"), 2, "key must be plain text"},
        BadFile{"KeyIsMissing", With("modules: {: x}\n"), 2, "a key is missing"},
        BadFile{"KeyTwice", "version: 1\nmodules: {}\nversion: 1\n", 3,
                "'version' stands here a second time; the first is on line 1"},
        BadFile{"KeyTwiceInQuotes", With("modules: {}\n\"modules\": {}\n"), 3, "second time"},
        BadFile{"UnknownKey", With("module: {}\n"), 2, "did you mean 'modules'?"},
        BadFile{"UnknownKeyFarOff", With("frobnicate: 1\n"), 2, "known are: version, admins"},
        BadFile{"UnprintableKey", With("\"a\\e[31m\\0\": 1\n"), 2, "'a?[31m?'"},
        BadFile{"NoVersion", "modules: {}\n", 1, "lacks 'version'"},
        BadFile{"VersionTwo", "version: 2\n", 1, "must be 1"},
        BadFile{"VersionEmpty", "version:\nmodules: {}\n", 1, "must be 1"},
        BadFile{"VersionList", "version: [1]\n", 1, "must be 1"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Admins, BadSecurityYamlTest,
    ::testing::Values(
        BadFile{"NoMap", With("admins: [root]\n"), 2, "'admins' must be a map"},
        BadFile{"Nothing", With("modules: {}\nadmins:\n"), 3, "'admins' must be a map"},
        BadFile{"Nobody", With("admins: {}\n"), 2, "'admins' names nobody"},
        BadFile{"NobodyInLists", With("admins:\n  users: []\n"), 2, "'admins' names nobody"},
        BadFile{"UnknownUser", With("admins:\n  users:\n    - root\n    - rot\n"), 5,
                "unknown user 'rot'"},
        BadFile{"UnknownGroup", With("admins: {groups: [wheel]}\n"), 2, "unknown group 'wheel'"},
        BadFile{"GroupAmongUsers", With("admins: {users: [keyward-admin]}\n"), 2, "unknown user"},
        BadFile{"DatabaseDown", With("admins: {users: [unreachable]}\n"), 2, "cannot be looked up"},
        BadFile{"UserTwice", With("admins: {users: [root, root]}\n"), 2, "lists 'root' twice"},
        BadFile{"NotAList", With("admins: {users: root}\n"), 2, "'users' must be a list"},
        BadFile{"ListInList", With("admins: {users: [[root]]}\n"), 2, "must list text only"},
        BadFile{"EmptyItem", With("admins: {users: [root, ~]}\n"), 2, "must list text only"},
        BadFile{"EmptyText", With("admins: {users: [root, \"\"]}\n"), 2, "must list text only"},
        BadFile{"IdTooLarge", With("admins: {users: [4294967296]}\n"), 2, "no user id"},
        BadFile{"IdOfNobody", With("admins: {groups: [4294967295]}\n"), 2, "no group id"},
        BadFile{"IdWithLeadingZero", With("admins: {users: [010]}\n"), 2, "no user id"},
        BadFile{"IdNegative", With("admins: {users: [-1]}\n"), 2, "unknown user '-1'"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Custodians, BadSecurityYamlTest,
    ::testing::Values(
        BadFile{"HsmNoMap", With("hsm: /usr/lib/x.so\n"), 2, "'hsm' must be a map"},
        BadFile{"HsmWithoutModule", With("hsm: {token: t, pin_file: /p}\n"), 2, "lacks 'module'"},
        BadFile{"HsmWithoutToken", With("hsm: {module: /m.so, pin_file: /p}\n"), 2,
                "lacks 'token'"},
        BadFile{"HsmWithoutPin", With("hsm: {module: /m.so, token: t}\n"), 2, "needs either"},
        BadFile{"HsmWithTwoPins",
                With("hsm: {module: /m.so, token: t, pin_file: /p, pin_credential: p}\n"), 2,
                "needs either"},
        BadFile{"HsmRelativeModule", With("hsm:\n  module: m.so\n  token: t\n  pin_file: /p\n"), 3,
                "'module' must be an absolute path"},
        BadFile{
            "HsmLongToken",
            With("hsm:\n  module: /m.so\n  token: " + std::string(33, 't') + "\n  pin_file: /p\n"),
            4, "1 to 32 bytes"},
        BadFile{"HsmEmptyToken", With("hsm:\n  module: /m.so\n  token:\n  pin_file: /p\n"), 4,
                "'token' must be text"},
        BadFile{"HsmCredentialPath",
                With("hsm:\n  module: /m.so\n  token: t\n  pin_credential: ../p\n"), 5,
                "not a path"},
        BadFile{"TpmWithoutTcti", With("tpm: {}\n"), 2, "lacks 'tcti'"},
        BadFile{"TpmUnknownTcti", With("tpm: {tcti: \"devise:/dev/tpmrm0\"}\n"), 2,
                "did you mean 'device'?"},
        BadFile{"TpmPcrOutOfRange", With("tpm: {tcti: swtpm, attest_pcrs: [7, 24]}\n"), 2,
                "a PCR must be a whole number from 0 to 23"},
        BadFile{"TpmNoPcr", With("tpm: {tcti: swtpm, attest_pcrs: []}\n"), 2, "names no PCR"},
        BadFile{"TpmPcrsNoList", With("tpm: {tcti: swtpm, attest_pcrs: 7}\n"), 2, "must be a list"},
        BadFile{"TpmTctiMap", With("tpm: {tcti: {device: /dev/tpmrm0}}\n"), 2,
                "'tcti' must be text"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Sessions, BadSecurityYamlTest,
    ::testing::Values(
        BadFile{"UnknownLimit", With("sessions: {sesion_timeout: 5}\n"), 2,
                "did you mean 'session_timeout'?"},
        BadFile{"Zero", With("sessions: {session_timeout: 0}\n"), 2, "from 1 to 604800"},
        BadFile{"TooLong", With("sessions: {session_timeout: 604801}\n"), 2, "from 1 to 604800"},
        BadFile{"HandshakeTooLong", With("sessions: {handshake_timeout: 601}\n"), 2, "1 to 600"},
        BadFile{"MessageTooLarge", With("sessions: {max_message_size: 16777217}\n"), 2,
                "1 to 16777216"},
        BadFile{"TooManySessions", With("sessions: {max_sessions: 10001}\n"), 2, "1 to 10000"},
        BadFile{"Negative", With("sessions: {max_sessions: -1}\n"), 2, "whole number"},
        BadFile{"Fraction", With("sessions: {max_sessions: 1.5}\n"), 2, "whole number"},
        BadFile{"Hexadecimal", With("sessions: {max_sessions: 0x10}\n"), 2, "whole number"},
        BadFile{"Octal", With("sessions: {max_sessions: 010}\n"), 2, "whole number"},
        BadFile{"Unit", With("sessions: {session_timeout: 1h}\n"), 2, "whole number"},
        BadFile{"Overflow", With("sessions: {max_sessions: 99999999999999999999}\n"), 2,
                "whole number"},
        BadFile{"NoValue", With("sessions:\n  max_sessions:\n  session_timeout: 5\n"), 3,
                "whole number"},
        BadFile{"ListValue", With("sessions: {max_sessions: [1]}\n"), 2, "whole number"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Modules, BadSecurityYamlTest,
    ::testing::Values(
        BadFile{"List", With("modules: [m]\n"), 2, "'modules' must be a map"},
        BadFile{"ModuleTwice", WithModule("  m:\n    users: [backend]\n"), 5,
                "'m' stands here a second time; the first is on line 3"},
        BadFile{"ModuleEmpty", With("modules:\n  m:\n"), 3, "module 'm' must be a map"},
        BadFile{"ModuleOfNobody", With("modules:\n  m:\n    peers: [x]\n"), 3, "'m' names nobody"},
        BadFile{"BadModuleName", With("modules:\n  ../m: {users: [root]}\n"), 3, "bad name '../m'"},
        BadFile{"LongModuleName", With("modules:\n  " + std::string(65, 'm') + ": {users: [0]}\n"),
                3, "bad name"},
        BadFile{"UnknownModuleKey", WithModule("    purposes: [aico]\n"), 5,
                "module 'm' has no key"},
        BadFile{"KeysList", WithModule("    keys: [k]\n"), 5, "'keys' must be a map"},
        BadFile{"KeysEmpty", WithModule("    keys:\n"), 5, "'keys' must be a map"},
        BadFile{"BadKeyName", WithModule("    keys:\n      K: [aico]\n"), 6, "bad name 'K'"},
        BadFile{"KeyWithoutPurposes", WithModule("    keys:\n      k: []\n"), 6, "no purpose"},
        BadFile{"PurposeNoList", WithModule("    keys:\n      k: aico\n"), 6, "must be a list"},
        BadFile{"UnknownPurpose",
                WithModule("    keys:\n      k:\n        - aico\n        - tls13-sever\n"), 8,
                "did you mean 'tls13-server'?"},
        BadFile{"EveryPurpose", WithModule("    keys: {k: [\"*\"]}\n"), 5,
                "known are: tls13-server, tls13-client, aico, raw"},
        BadFile{"PurposeTwice", WithModule("    keys: {k: [aico, aico]}\n"), 5, "twice"},
        BadFile{"KeyGrantedTwice", WithModule("    keys:\n      k: [aico]\n      k: [raw]\n"), 7,
                "second time"},
        BadFile{"BadPeerName", WithModule("    peers: [backend, Über]\n"), 5, "in 'peers'"},
        BadFile{"PeerMap", WithModule("    peers: {backend: yes}\n"), 5, "'peers' must be a list"},
        BadFile{"ModuleLimit", WithModule("    sessions: {max_sessions: 0}\n"), 5, "1 to 10000"}),
    NameOf);

}  // namespace
}  // namespace keyward::policy
