#include <fmt/format.h>

#include <algorithm>

#include "keyctl/host_checks.h"
#include "keyctl/record_checks.h"
#include "keyctl/service_checks.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"
#include "policy/name_rules.h"

namespace keyward::keyctl {
namespace {

struct DoctorArguments {
  std::string config = "/etc/keyward/security.yaml";
  std::string state = "/var/lib/keyward";
};

void Add(Findings& all, Findings more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// What keyd tells of itself, which takes a keyd; the backup is not among it.
Findings CheckKeyd(AdminClient& admin, const ServiceStatus& status) {
  Findings findings = CheckStatus(status);
  findings.push_back(CheckPcrPolicies(admin.ShowPcrPolicies({})));
  findings.push_back(CheckSecondSeal(admin.ShowSeals()));
  findings.push_back(CheckAudit(status.audit));
  findings.push_back(CheckRevocations(admin.ListRevocations(),
                                      admin.DescribeKey(std::string(policy::kServiceKeyName))));
  return findings;
}

Finding CheckBackup(const BackupRecord& record, const std::string& state_directory, WallTime now) {
  std::optional<Finding> known = CheckBackupRecord(record, now);
  return known ? std::move(*known) : CheckBackupFile(state_directory, now);
}

Findings CheckService(Shell& shell, const std::string& state_directory) {
  const WallTime now = shell.environment().clock.Now();
  const Result<AdminClient*> admin = shell.Admin();
  Findings findings;
  BackupRecord backup;
  if (!admin) {
    findings = {CheckNoBus(admin.error())};
  } else if (const Result<ServiceStatus> status = (*admin)->Status(); !status) {
    findings = CheckNoKeyd(status.error(), state_directory);
  } else {
    findings = CheckKeyd(**admin, *status);
    backup = status->backup;
  }
  findings.push_back(CheckBackup(backup, state_directory, now));
  return findings;
}

Tone ToneOf(Verdict verdict) {
  if (verdict == Verdict::kOk) return Tone::kGood;
  return verdict == Verdict::kAttention ? Tone::kBad : Tone::kFaint;
}

void Print(Shell& shell, const Findings& findings) {
  Table table({"", "CHECK", "FINDING"});
  for (const Finding& finding : findings) {
    table.Add({{std::string(Name(finding.verdict)), ToneOf(finding.verdict)},
               finding.check,
               finding.what});
  }
  table.Print(shell.out(), shell.color());
  shell.Say("");
  for (const Finding& finding : findings) {
    if (finding.verdict != Verdict::kAttention) continue;
    shell.Say(fmt::format("{}: {}.", finding.check, Printable(finding.remedy)));
  }
}

Json FindingsJson(const Findings& findings, bool well) {
  Json rows = Json::array();
  for (const Finding& finding : findings) {
    rows.push_back({{"check", finding.check},
                    {"verdict", Name(finding.verdict)},
                    {"code", finding.code},
                    {"finding", finding.what},
                    {"remedy", finding.remedy}});
  }
  return {{"well", well}, {"checks", rows}};
}

Result<ExitCode> Examine(Shell& shell, const DoctorArguments& wanted) {
  Findings findings = CheckConfiguration(wanted.config, shell.environment().names);
  findings.push_back(CheckStateDirectory(wanted.state));
  Add(findings, CheckService(shell, wanted.state));
  Add(findings, CheckDisks(wanted.state));
  const bool well = std::ranges::none_of(
      findings, [](const Finding& finding) { return finding.verdict == Verdict::kAttention; });
  if (shell.json()) {
    shell.PrintJson(FindingsJson(findings, well));
  } else {
    Print(shell, findings);
    if (well) shell.Say("All is well.");
  }
  return well ? ExitCode::kOk : ExitCode::kAttention;
}

}  // namespace

void AddDoctorCommand(CLI::App& app, Shell& shell) {
  CLI::App* command =
      app.add_subcommand("doctor", "Look for what is wrong, and tell what to do about it");
  command->footer(
      "Looks at the configuration, the state directory, the bus, keyd, each custodian, the boot,\n"
      "the stored state, the second seal, the audit log, the revocations, the backup and the "
      "disk.\n"
      "Works without a keyd, and as any user, who is told what only root can see. Exits with 12\n"
      "when something needs attention.\n\n"
      "Examples:\n"
      "  keyctl doctor\n"
      "  keyctl doctor --json | jq '.checks[] | select(.verdict == \"attention\")'\n"
      "  keyctl doctor --config ./security.yaml --state ./state");
  const auto wanted = std::make_shared<DoctorArguments>();
  command->add_option("--config", wanted->config, "security.yaml")
      ->type_name("FILE")
      ->capture_default_str();
  command->add_option("--state", wanted->state, "keyd's state directory")
      ->type_name("DIR")
      ->capture_default_str();
  shell.Bind(
      *command, [] { return "look for what is wrong"; },
      [wanted](Shell& self) { return Examine(self, *wanted); });
}

}  // namespace keyward::keyctl
