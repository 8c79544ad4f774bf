#include <fmt/format.h>

#include "core/encoding.h"
#include "keyctl/backup_changes.h"
#include "keyctl/backup_open.h"
#include "keyctl/human.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

// Of hardware that has sealed nothing so far, and was not made to.
constexpr std::string_view kUntried = "untried";

struct DrillArguments : OpenArguments {
  bool elsewhere = false;
};

// What the running keyd knows of a backup.
struct Standing {
  BackupCheck check;
  std::vector<std::string> changes;

  bool IsLatest(const BackupReport& report) const { return ToHex(check.latest) == report.id; }
  bool IsStale(const BackupReport& report) const {
    return !changes.empty() || (!check.latest.empty() && !IsLatest(report));
  }
};

Result<Standing> StandingOf(Shell& shell, const BackupReport& report) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  Standing standing;
  KEYWARD_ASSIGN(standing.check, admin->CheckBackup(report.digest, report.origin));
  if (!standing.check.own) {
    return Fail(ErrorCode::kAuthenticationFailed,
                fmt::format("the backup opens, but this service has not made it: it is of service "
                            "{} on '{}', or of the time before this one was restored",
                            report.service.substr(0, 16), Printable(report.host)));
  }
  KEYWARD_ASSIGN(standing.changes, ChangesSince(report, *admin));
  return standing;
}

Json CannotBeInItJson(const BackupReport& report) {
  Json rows = Json::array();
  for (const ReportedKey& key : report.keys) {
    for (const ReportedVersion& version : key.versions) {
      if (!CannotBeInIt(key, version)) continue;
      rows.push_back({{"name", key.name},
                      {"version", version.number},
                      {"custodian", key.custodian},
                      {"fingerprint", version.fingerprint}});
    }
  }
  return rows;
}

Json StandingJson(const Standing& standing, const BackupReport& report) {
  Json custodians = Json::array();
  for (const CustodianSummary& each : standing.check.custodians) {
    custodians.push_back({{"name", each.name}, {"state", each.state}, {"detail", each.detail}});
  }
  Json latest;  // null: not known
  if (!standing.check.latest.empty()) latest = standing.IsLatest(report);
  return {{"latest", latest},
          {"stale", standing.IsStale(report)},
          {"changes", standing.changes},
          {"custodians", custodians}};
}

void PrintStanding(Shell& shell, const Standing& standing, const BackupReport& report) {
  for (const CustodianSummary& each : standing.check.custodians) {
    if (each.state == kUntried) {
      shell.Say(fmt::format("Whether the {} can seal was not tried: {}.", each.name,
                            Printable(each.detail)));
      continue;
    }
    shell.Say(each.state == "ok" ? fmt::format("The {} can seal what is in it.", each.name)
                                 : fmt::format("The {} cannot seal what is in it: {}", each.name,
                                               Printable(each.detail)));
  }
  if (standing.check.latest.empty()) {
    shell.Say("Whether a later one was made is not known.");
  } else if (standing.IsLatest(report)) {
    shell.Say("It is the latest one that was made.");
  } else {
    shell.Say(fmt::format("A later one was made: {}, {}.",
                          ToHex(standing.check.latest).substr(0, 16),
                          Timestamp(standing.check.latest_created)));
  }
  if (standing.changes.empty()) shell.Say("Nothing has changed since it was made.");
  for (const std::string& change : standing.changes) shell.Say("Changed since: " + change);
}

ExitCode ExitCodeOf(const Standing& standing, const BackupReport& report) {
  for (const CustodianSummary& each : standing.check.custodians) {
    if (each.state != "ok" && each.state != kUntried) return ExitCode::kHardware;
  }
  return standing.IsStale(report) ? ExitCode::kStale : ExitCode::kOk;
}

void PrintOpened(Shell& shell, const BackupReport& report) {
  PrintBackup(shell, report);
  shell.Say("It opens with this key, it is whole, and each private half belongs to its key.");
}

Result<ExitCode> DrillHere(Shell& shell, const BackupOpener& opener) {
  KEYWARD_ASSIGN(const BackupReport report, opener.Run(shell, "show"));
  if (!shell.json()) PrintOpened(shell, report);
  KEYWARD_ASSIGN(const Standing standing, StandingOf(shell, report));
  if (shell.json()) {
    Json json = StandingJson(standing, report);
    json["not_in_backup"] = CannotBeInItJson(report);
    json["backup"] = report.json;
    shell.PrintJson(json);
  } else {
    PrintStanding(shell, standing, report);
  }
  return ExitCodeOf(standing, report);
}

Result<ExitCode> DrillElsewhere(Shell& shell, const BackupOpener& opener) {
  KEYWARD_ASSIGN(const BackupReport report, opener.Run(shell, "rehearse"));
  if (!report.lost) return Fail(ErrorCode::kInternal, "keyd does not say what it would restore");
  if (shell.json()) {
    shell.PrintJson({{"not_in_backup", CannotBeInItJson(report)}, {"backup", report.json}});
    return ExitCode::kOk;
  }
  PrintOpened(shell, report);
  for (const std::string& version : report.lost->versions) {
    shell.Say("This hardware does not have: " + version);
  }
  shell.Say("This hardware has sealed all that is in it, and opened it again.");
  shell.Say("Whether it is up to date can only be told where it was made.");
  return ExitCode::kOk;
}

Result<ExitCode> Drill(Shell& shell, const DrillArguments& wanted) {
  if (wanted.elsewhere == wanted.custodian.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "--elsewhere needs --custodian, which nothing else needs");
  }
  KEYWARD_ASSIGN(const BackupOpener opener, BackupOpener::Create(shell, wanted));
  return wanted.elsewhere ? DrillElsewhere(shell, opener) : DrillHere(shell, opener);
}

}  // namespace

void AddDrillCommand(CLI::App& backup, Shell& shell) {
  CLI::App* command =
      backup.add_subcommand("drill", "Prove that a backup would restore, and is up to date");
  command->footer(
      "Opens the backup and checks it, has the running keyd seal with its hardware what a restore\n"
      "would, and compares it with what keyd has now. Nothing is changed. Keys that cannot be in\n"
      "any backup are listed. It ends with 0 when all is well and 11 when something has changed\n"
      "since. With --elsewhere it is tried with another machine's hardware, where no keyd runs.\n\n"
      "Examples:\n"
      "  keyctl backup drill keyward.backup --key recovery.pem\n"
      "  keyctl backup drill keyward.backup --key recovery.pem --json | jq .changes\n"
      "  keyctl backup drill keyward.backup --key recovery.pem --elsewhere --custodian hsm");
  const auto wanted = std::make_shared<DrillArguments>();
  AddOpenOptions(*command, *wanted);
  command->add_flag("--elsewhere", wanted->elsewhere,
                    "Try it with this machine's hardware, which is not where it was made");
  AddCustodianOptions(*command, *wanted);
  shell.Bind(
      *command, [wanted] { return fmt::format("prove '{}'", wanted->file); },
      [wanted](Shell& self) { return Drill(self, *wanted); });
}

}  // namespace keyward::keyctl
