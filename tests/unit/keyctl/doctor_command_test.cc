#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/encoding.h"
#include "core/file.h"
#include "core/last_failure.h"
#include "tests/unit/keyctl/keyctl_fixture.h"

namespace keyward::keyctl {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::KeyctlTest;

class DoctorCommandTest : public KeyctlTest {
 protected:
  void SetUp() override {
    const PcrValues values = {{7, PcrValue{1}}};
    keyd_.status = {.version = "0.1.0",
                    .health = "ok",
                    .seal_code = "",
                    .seal_reason = "",
                    .secret_memory = "memfd_secret",
                    .custodians = {{.name = "tpm",
                                    .description = "TPM 2.0",
                                    .state = "ok",
                                    .detail = "",
                                    .since = clock_.Now(),
                                    .resets = 0}},
                    .audit = {.state = "ok", .last = 12, .signed_through = 9, .unrecorded = 0},
                    .sessions = 0,
                    .uptime = std::chrono::seconds(60),
                    .boot = {.state = "attested",
                             .detail = "",
                             .id = std::string(64, 'b'),
                             .quote = std::string(64, 'd'),
                             .quoted = clock_.Now(),
                             .pcrs = {7}},
                    .epoch = 5,
                    .epoch_confirmed = true,
                    .backup = {.state = "none", .created = {}}};
    keyd_.details.spki = testing_support::SomeKey().spki();
    keyd_.pcrs = {.authority = {},
                  .values = values,
                  .policies = {{{7}, ToBytes(DigestOfPcrPolicy(values).value())}}};
    fs::create_directory(state());
    fs::permissions(state(), fs::perms::owner_all);
    Put("master-key");
    Put("state.db");
    WriteConfiguration("version: 1\nadmins: {users: [root]}\n");
  }
  fs::path state() const { return directory_.path() / "state"; }
  void Put(const std::string& name) { ASSERT_OK(ReplaceFile(state() / name, {})); }
  void WriteConfiguration(const std::string& text) {
    std::ofstream(directory_.File("security.yaml")) << text;
  }
  ExitCode Doctor() {
    return Run({"doctor", "--json", "--config", directory_.File("security.yaml"), "--state",
                state().string()});
  }
  nlohmann::json Finding(const std::string& check) const {
    const nlohmann::json out = OutJson();
    for (const nlohmann::json& each : out.at("checks")) {
      if (each.at("check") == check) return each;
    }
    return {};
  }
  // The one finding that needs attention.
  void ExpectAttention(const std::string& check, const std::string& remedy) {
    EXPECT_EQ(Doctor(), ExitCode::kAttention);
    const nlohmann::json out = OutJson();
    EXPECT_FALSE(out.at("well"));
    for (const nlohmann::json& each : out.at("checks")) {
      EXPECT_EQ(each.at("verdict") == "attention", each.at("check") == check) << each;
    }
    EXPECT_THAT(std::string(Finding(check).at("remedy")), HasSubstr(remedy));
  }

  testing_support::TempDir directory_;
};

TEST_F(DoctorCommandTest, WhereAllIsWellItSaysSo) {
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_TRUE(OutJson().at("well"));
  EXPECT_EQ(
      Run({"doctor", "--config", directory_.File("security.yaml"), "--state", state().string()}),
      ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("All is well.\n"));
  EXPECT_THAT(out_.str(), HasSubstr("custodian tpm"));
}

TEST_F(DoctorCommandTest, EachStateOfHardwareHasItsRemedy) {
  const std::vector<std::pair<ErrorCode, std::string>> remedies = {
      {ErrorCode::kCustodianUnavailable, "/dev/tpmrm0"},
      {ErrorCode::kCustodianUnavailable, "failed self-test, restart the machine"},
      {ErrorCode::kCustodianBusy, "end the other programs"},
      {ErrorCode::kCustodianBusy, "restart what hangs"},
      {ErrorCode::kResourceExhausted, "tpm2_nvundefine"},
      {ErrorCode::kCustodianReplaced, "bring the former one back"},
      {ErrorCode::kCustodianCleared, "restore a backup"},
      {ErrorCode::kLockedOut, "tpm2_dictionarylockout"},
      {ErrorCode::kPinRejected, "tpm2_changeauth -c owner"},
      {ErrorCode::kPcrMismatch, "keyctl policy pcr show"},
      {ErrorCode::kRolledBack, "restore a backup"},
      {ErrorCode::kConfiguration, "security.yaml"}};
  for (const auto& [code, remedy] : remedies) {
    keyd_.status.custodians[0].state = Name(code);
    keyd_.status.custodians[0].detail = "why";
    ExpectAttention("custodian tpm", remedy);
    EXPECT_EQ(Finding("custodian tpm").at("code"), Name(code));
    EXPECT_THAT(std::string(Finding("custodian tpm").at("finding")), HasSubstr("since 2025-06-15"));
  }
}

TEST_F(DoctorCommandTest, ATokenHasRemediesOfItsOwn) {
  keyd_.status.custodians[0].name = "hsm";
  const std::vector<std::pair<ErrorCode, std::string>> remedies = {
      {ErrorCode::kCustodianUnavailable, "plugged in"},
      {ErrorCode::kResourceExhausted, "end other programs' sessions"},
      {ErrorCode::kLockedOut, "security officer"},
      {ErrorCode::kPinRejected, "write the right PIN"},
      {ErrorCode::kPinRejected, "set the token's PIN to what that says"}};
  for (const auto& [code, remedy] : remedies) {
    keyd_.status.custodians[0].state = Name(code);
    keyd_.status.custodians[0].detail = "why";
    ExpectAttention("custodian hsm", remedy);
  }
}

TEST_F(DoctorCommandTest, ASealHasItsCauseAndItsRemedy) {
  keyd_.status.health = "sealed";
  keyd_.status.seal_code = "RolledBack";
  keyd_.status.seal_reason = "state.db is an old copy";
  ExpectAttention("seal", "put the latest state.db back");
  EXPECT_EQ(Finding("stored state").at("verdict"), "unknown");
}

TEST_F(DoctorCommandTest, WhereTheKindOfHardwareIsNotKnownBothRemediesAreTold) {
  keyd_.status.health = "sealed";
  keyd_.status.seal_code = "LockedOut";
  keyd_.status.seal_reason = "why";
  ExpectAttention("seal", "tpm2_dictionarylockout");
  ExpectAttention("seal", "security officer");
}

TEST_F(DoctorCommandTest, ResetsAreTold) {
  keyd_.status.custodians[0].resets = 3;
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_THAT(std::string(Finding("custodian tpm").at("finding")),
              AllOf(HasSubstr("3 times"), HasSubstr("journalctl -k")));
}

TEST_F(DoctorCommandTest, AnEpochThatIsNotConfirmedIsTold) {
  keyd_.status.epoch_confirmed = false;
  ExpectAttention("stored state", "catches up by itself");
}

TEST_F(DoctorCommandTest, ThePolicyOfTheBootIsLookedAt) {
  keyd_.pcrs.values[7] = PcrValue{2};
  ExpectAttention("PCR policy", "keyctl policy pcr sign");
  keyd_.pcrs.policies.clear();
  ExpectAttention("PCR policy", "keyctl policy pcr sign");
}

TEST_F(DoctorCommandTest, TheSecondSealIsTold) {
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_THAT(std::string(Finding("second seal").at("finding")), HasSubstr("none"));
  keyd_.seals = {"tpm", "recovery", {0xab}, clock_.Now(), "hsm"};
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_THAT(std::string(Finding("second seal").at("finding")),
              AllOf(HasSubstr("recovery"), HasSubstr("the hsm that had the master key before")));
  keyd_.seals.former = kRefusedFormer;
  ExpectAttention("second seal", "move it away");
  keyd_.seals_error = Error(ErrorCode::kDataCorrupt, "master-key.second is damaged");
  ExpectAttention("second seal", "keyctl master forget --lost");
}

TEST_F(DoctorCommandTest, ABootThatChangedIsTold) {
  keyd_.status.boot.state = "changed";
  keyd_.status.boot.detail = "PCR 4 changed";
  ExpectAttention("boot", "keyctl policy pcr show");
}

TEST_F(DoctorCommandTest, WithoutAKeydItTellsWhyTheLastOneEnded) {
  keyd_.error = Error(ErrorCode::kUnreachable, "keyd is not running");
  ExpectAttention("keyd", "systemctl start keyward");
  ASSERT_OK(WriteLastFailure(state(), Error(ErrorCode::kRolledBack, "state.db is an old copy")));
  ExpectAttention("keyd", "put the latest state.db back");
  EXPECT_EQ(Finding("keyd").at("code"), "RolledBack");
}

TEST_F(DoctorCommandTest, ABusThatRefusesIsNoBusThatIsGone) {
  keyd_.error = Error(ErrorCode::kPermissionDenied, "the bus policy forbids this call");
  ExpectAttention("keyd", "org.keyward.Keyd1.conf");
  EXPECT_EQ(Finding("bus").at("verdict"), "ok");
  connect_error_ = Error(ErrorCode::kUnreachable, "the D-Bus system bus cannot be reached");
  ExpectAttention("bus", "DBUS_SYSTEM_BUS_ADDRESS");
}

TEST_F(DoctorCommandTest, AConfigurationThatIsNotValidIsToldWithItsLine) {
  WriteConfiguration("version: 1\nmodulles: {}\n");
  ExpectAttention("configuration", "keyctl policy check");
  EXPECT_THAT(std::string(Finding("configuration").at("finding")), HasSubstr(":2: "));
}

TEST_F(DoctorCommandTest, APinFileIsForItsOwnerAlone) {
  const std::string pin = directory_.File("hsm.pin");
  WriteConfiguration(
      fmt::format("version: 1\nhsm: {{module: /m.so, token: t, pin_file: {}}}\n", pin));
  ExpectAttention("PIN file", "0600");
  std::ofstream(pin) << "1234";
  ASSERT_EQ(chmod(pin.c_str(), 0640), 0);
  ExpectAttention("PIN file", "chmod 0600 " + pin);
  ASSERT_EQ(chmod(pin.c_str(), 0600), 0);
  EXPECT_EQ(Doctor(), ExitCode::kOk);
}

TEST_F(DoctorCommandTest, TheStateDirectoryIsForItsOwnerAlone) {
  ASSERT_EQ(chmod((state() / "state.db").c_str(), 0644), 0);
  ExpectAttention("state directory", "chmod go=");
  ASSERT_EQ(chmod((state() / "state.db").c_str(), 0600), 0);
  ASSERT_EQ(chmod(state().c_str(), 0750), 0);
  ExpectAttention("state directory", "chmod 0700");
  ASSERT_EQ(chmod(state().c_str(), 0700), 0);
  fs::remove(state() / "master-key");
  ExpectAttention("state directory", "put the master-key file back");
  fs::remove(state() / "state.db");
  ExpectAttention("state directory", "keyctl init");
  fs::remove_all(state());
  ExpectAttention("state directory", "install -d -m 0700");
}

TEST_F(DoctorCommandTest, ABackupHasTheAgeThatKeydNoted) {
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_EQ(Finding("backup").at("verdict"), "unknown");
  keyd_.status.backup = {.state = "made", .created = clock_.Now() - std::chrono::hours(24)};
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_THAT(std::string(Finding("backup").at("finding")), HasSubstr("1 d ago"));
  keyd_.status.backup.created = clock_.Now() - std::chrono::hours(24 * 40);
  ExpectAttention("backup", "make another one");
  Put("last-backup");  // whose time does not count then
  ExpectAttention("backup", "make another one");
  keyd_.status.backup = {.state = "DataCorrupt", .created = {}};
  ExpectAttention("backup", "remove last-backup");
  EXPECT_EQ(Finding("backup").at("code"), "DataCorrupt");
}

TEST_F(DoctorCommandTest, WhereKeydCannotTellTheFileOfTheBackupDoes) {
  keyd_.status.backup = {.state = "Sealed", .created = {}};
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_EQ(Finding("backup").at("verdict"), "unknown");
  Put("last-backup");
  const auto made = [&](std::chrono::hours ago) {
    const auto at =
        std::chrono::duration_cast<std::chrono::seconds>((clock_.Now() - ago).time_since_epoch());
    const std::array<timespec, 2> times = {timespec{at.count(), 0}, timespec{at.count(), 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, (state() / "last-backup").c_str(), times.data(), 0), 0);
  };
  made(std::chrono::hours(24));
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_THAT(std::string(Finding("backup").at("finding")), HasSubstr("1 d ago"));
  made(std::chrono::hours(24 * 40));
  ExpectAttention("backup", "make another one");
}

TEST_F(DoctorCommandTest, TheAuditLogIsLookedAt) {
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_THAT(std::string(Finding("audit log").at("finding")),
              HasSubstr("head is record 12, signed up to 9"));
  keyd_.status.audit.state = "full";
  ExpectAttention("audit log", "make room");
  keyd_.status.audit = {.state = "ok", .last = 12, .signed_through = 9, .unrecorded = 1};
  ExpectAttention("audit log", "journalctl -u keyward");
  EXPECT_THAT(std::string(Finding("audit log").at("finding")), HasSubstr("1 event could not"));
  keyd_.status.audit = {.state = "ok", .last = 2009, .signed_through = 9, .unrecorded = 0};
  ExpectAttention("audit log", "keyctl audit sign");
  keyd_.status.audit = {.state = "closed", .last = 0, .signed_through = 0, .unrecorded = 0};
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_EQ(Finding("audit log").at("verdict"), "unknown");
}

TEST_F(DoctorCommandTest, WhoSignsRevocationsIsTold) {
  const Bytes issuer(32, 0xcd);
  keyd_.revocations = {
      {.revocation = {.fingerprint = {1}, .name = "a", .version = 1, .at = {}}, .issuer = {}},
      {.revocation = {.fingerprint = {2}, .name = "b", .version = 1, .at = {}}, .issuer = issuer}};
  const std::string signer = ToHex(testing_support::SomeKey().Fingerprint()).substr(0, 16);
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_EQ(Finding("revocations").at("finding"),
            "1 of this host, whose list " + signer + " signs; 1 by lists of cdcdcdcdcdcdcdcd");
  std::ranges::copy(issuer, keyd_.revocations[0].revocation.fingerprint.begin());
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_THAT(std::string(Finding("revocations").at("finding")),
              HasSubstr("cdcdcdcdcdcdcdcd (a key revoked since)"));
  keyd_.details.spki.clear();
  ExpectAttention("revocations", "keyctl key revocations --export");
}

TEST_F(DoctorCommandTest, WhatIsForAdminsIsNoFaultForOthers) {
  keyd_.pcr_error = Error(ErrorCode::kPermissionDenied, "for admins");
  keyd_.revocations_error = keyd_.pcr_error;
  keyd_.seals_error = keyd_.pcr_error;
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_EQ(Finding("PCR policy").at("verdict"), "unknown");
  EXPECT_EQ(Finding("revocations").at("verdict"), "unknown");
  EXPECT_EQ(Finding("second seal").at("verdict"), "unknown");
  keyd_.pcr_error = Error(ErrorCode::kNotSupported, "an HSM has the master key");
  EXPECT_EQ(Doctor(), ExitCode::kOk);
  EXPECT_EQ(Finding("PCR policy").at("verdict"), "ok");
}

TEST_F(DoctorCommandTest, PeopleGetTheRemediesBelowTheTable) {
  keyd_.status.custodians[0].state = "LockedOut";
  EXPECT_EQ(
      Run({"doctor", "--config", directory_.File("security.yaml"), "--state", state().string()}),
      ExitCode::kAttention);
  EXPECT_THAT(out_.str(), HasSubstr("\ncustodian tpm: find the program that tries"));
  EXPECT_THAT(err_.str(), IsEmpty());
}

}  // namespace
}  // namespace keyward::keyctl
