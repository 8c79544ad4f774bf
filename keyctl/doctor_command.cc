#include <fmt/format.h>

#include <algorithm>

#include "keyctl/host_checks.h"
#include "keyctl/service_checks.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

struct DoctorArguments {
  std::string config = "/etc/keyward/security.yaml";
  std::string state = "/var/lib/keyward";
};

void Add(Findings& all, Findings more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

Result<ServiceStatus> AskKeyd(Shell& shell) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  return admin->Status();
}

Findings CheckService(Shell& shell, const std::string& state_directory) {
  const Result<ServiceStatus> status = AskKeyd(shell);
  if (!status) return CheckAbsence(status.error(), state_directory);
  Findings findings = CheckStatus(*status);
  if (const Result<AdminClient*> admin = shell.Admin()) {
    findings.push_back(CheckPcrPolicies((*admin)->ShowPcrPolicies({})));
  }
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
  findings.push_back(CheckBackup(wanted.state, shell.environment().clock.Now()));
  findings.push_back(CheckDisk(wanted.state));
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
      "the stored state, the backup and the disk. Works without a keyd, and as any user, who is\n"
      "told what only root can see. Exits with 12 when something needs attention.\n\n"
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
