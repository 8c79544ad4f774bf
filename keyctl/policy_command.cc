#include <fmt/format.h>

#include <expected>

#include "keyctl/file.h"
#include "keyctl/shell.h"
#include "policy/security_yaml.h"

namespace keyward::keyctl {
namespace {

using policy::Diagnostic;

Json DiagnosticsJson(const std::string& file, const std::vector<Diagnostic>& diagnostics) {
  Json rows = Json::array();
  for (const Diagnostic& diagnostic : diagnostics) {
    rows.push_back({{"line", diagnostic.place.line},
                    {"column", diagnostic.place.column},
                    {"message", diagnostic.message}});
  }
  return {{"file", file}, {"valid", diagnostics.empty()}, {"problems", rows}};
}

void PrintDiagnostics(Shell& shell, const std::string& file,
                      const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics) {
    shell.err() << fmt::format("{}:{}:{}: {}\n", file, diagnostic.place.line,
                               diagnostic.place.column, diagnostic.message);
  }
}

Result<ExitCode> CheckPolicy(Shell& shell, const std::string& file) {
  KEYWARD_ASSIGN(const std::string text, ReadTextFile(file, policy::kMaxSecurityYaml));
  const auto checked = policy::CheckSecurityYaml(text, shell.environment().names);
  const std::vector<Diagnostic> problems = checked ? std::vector<Diagnostic>() : checked.error();
  if (shell.json()) {
    shell.PrintJson(DiagnosticsJson(file, problems));
  } else {
    PrintDiagnostics(shell, file, problems);
    if (checked) {
      shell.Say(fmt::format("{} is valid: {} module{}.", file, checked->modules().size(),
                            checked->modules().size() == 1 ? "" : "s"));
    }
  }
  return checked ? ExitCode::kOk : ExitCode::kConfiguration;
}

Result<ExitCode> ReloadPolicy(Shell& shell) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_TRY(admin->ReloadPolicy());
  if (shell.json()) {
    shell.PrintJson({{"reloaded", true}});
  } else {
    shell.Say("The policy was reloaded.");
  }
  return ExitCode::kOk;
}

void AddCheck(CLI::App& policy_app, Shell& shell) {
  CLI::App* command =
      policy_app.add_subcommand("check", "Tell every problem of a security.yaml; needs no keyd");
  command->footer(
      "Exits with 8 when there are problems, each told as FILE:LINE:COLUMN.\n\n"
      "Examples:\n"
      "  keyctl policy check /etc/keyward/security.yaml\n"
      "  keyctl policy check new.yaml && install -m 0644 new.yaml /etc/keyward/security.yaml");
  const auto file = std::make_shared<std::string>();
  command->add_option("FILE", *file, "The file to check")->required();
  shell.Bind(
      *command, [file] { return fmt::format("check '{}'", *file); },
      [file](Shell& self) { return CheckPolicy(self, *file); });
}

void AddReload(CLI::App& policy_app, Shell& shell) {
  CLI::App* command = policy_app.add_subcommand(
      "reload", "Make keyd read security.yaml again; the old one holds if the new one does not");
  command->footer("Examples:\n  keyctl policy reload");
  shell.Bind(*command, [] { return "reload the policy"; }, ReloadPolicy);
}

}  // namespace

void AddPolicyCommands(CLI::App& app, Shell& shell) {
  CLI::App* policy_app =
      app.add_subcommand("policy", "Check and reload security.yaml; sign states of the boot");
  policy_app->require_subcommand(1);
  policy_app->footer(
      "Examples:\n  keyctl policy check /etc/keyward/security.yaml\n  keyctl policy reload");
  AddCheck(*policy_app, shell);
  AddReload(*policy_app, shell);
  AddPcrCommands(*policy_app, shell);
}

}  // namespace keyward::keyctl
