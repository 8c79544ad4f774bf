#include <fmt/format.h>

#include "keyctl/human.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

constexpr uint32_t kLongestWait = 86400;  // seconds

Json StatusJson(const ServiceStatus& status) {
  Json custodians = Json::array();
  for (const CustodianSummary& custodian : status.custodians) {
    custodians.push_back({{"name", custodian.name},
                          {"description", custodian.description},
                          {"state", custodian.state},
                          {"detail", custodian.detail}});
  }
  return {{"version", status.version},
          {"health", status.health},
          {"seal", {{"code", status.seal_code}, {"reason", status.seal_reason}}},
          {"uptime_seconds", status.uptime.count()},
          {"sessions", status.sessions},
          {"secret_memory", status.secret_memory},
          {"custodians", custodians}};
}

void PrintStatus(Shell& shell, const ServiceStatus& status) {
  shell.out() << fmt::format(
      "keyd {}: {}, up {}, {} live session{}, secrets in {}\n\n", status.version,
      Paint(status.health, ToneOfState(status.health), shell.color()), HumanDuration(status.uptime),
      status.sessions, status.sessions == 1 ? "" : "s", status.secret_memory);
  if (!status.seal_reason.empty()) {
    shell.out() << "Sealed: " << Printable(status.seal_reason) << ".\n\n";
  }
  Table table({"CUSTODIAN", "STATE", "WHAT IT IS", "DETAIL"});
  for (const CustodianSummary& custodian : status.custodians) {
    table.Add({custodian.name,
               {custodian.state, ToneOfState(custodian.state)},
               custodian.description,
               custodian.detail});
  }
  table.Print(shell.out(), shell.color());
}

Result<ExitCode> ShowStatus(Shell& shell, uint32_t wait_seconds) {
  if (wait_seconds > 0) {
    KEYWARD_TRY(shell.environment().wait_for_keyd(std::chrono::seconds(wait_seconds)));
  }
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const ServiceStatus status, admin->Status());
  if (shell.json()) {
    shell.PrintJson(StatusJson(status));
  } else {
    PrintStatus(shell, status);
  }
  if (status.health == "sealed") return ExitCode::kSealed;
  return status.health == "ok" ? ExitCode::kOk : ExitCode::kHardware;
}

}  // namespace

void AddStatusCommand(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand("status", "Tell whether keyd and its hardware serve");
  command->footer(
      "Exits with 7 when the service is degraded, with 10 when it is sealed.\n\n"
      "Examples:\n"
      "  keyctl status\n"
      "  keyctl status --wait 30        after a start, until keyd serves\n"
      "  keyctl status --json | jq -r .health");
  const auto wait = std::make_shared<uint32_t>(0);
  command->add_option("--wait", *wait, "Wait so many seconds for keyd to come up")
      ->type_name("SECONDS")
      ->check(CLI::Range(uint32_t{0}, kLongestWait));
  shell.Bind(
      *command, [] { return "tell the status of keyd"; },
      [wait](Shell& self) { return ShowStatus(self, *wait); });
}

}  // namespace keyward::keyctl
