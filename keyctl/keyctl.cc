#include "keyctl/keyctl.h"

#include <fmt/format.h>

#include <algorithm>

#include "keyctl/shell.h"

namespace keyward::keyctl {
namespace {

std::string RootFooter() {
  std::string footer =
      "Examples:\n"
      "  keyctl status\n"
      "  keyctl key generate frontend --custodian hsm\n"
      "  keyctl module enrol frontend --identity frontend\n"
      "  keyctl sessions list --json\n\n"
      "Exit codes:\n";
  for (const ExitCodeInfo& info : kExitCodes) {
    footer += fmt::format("  {}  {}\n", static_cast<int>(info.code), info.meaning);
  }
  return footer + "\nEach command has its own --help. The manual is keyctl(1).";
}

void AddCommands(CLI::App& app, Shell& shell) {
  app.require_subcommand(1);
  app.footer(RootFooter());
  app.set_version_flag("--version", KEYWARD_VERSION);
  shell.AddJson(app);
  AddInitCommand(app, shell);
  AddStatusCommand(app, shell);
  AddDoctorCommand(app, shell);
  AddKeyCommands(app, shell);
  AddModuleCommands(app, shell);
  AddSessionsCommands(app, shell);
  AddPolicyCommands(app, shell);
  AddAuditCommands(app, shell);
  AddSealCommands(app, shell);
  AddMasterCommands(app, shell);
  AddBackupCommands(app, shell);
}

// The last command that the command line named.
const CLI::App& Named(const CLI::App& app) {
  const std::vector<CLI::App*> named = app.get_subcommands();
  return named.empty() ? app : Named(*named.front());
}

ExitCode RefuseUsage(Shell& shell, const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = Named(app);
  const std::vector<std::string> rest = command.remaining();
  if (command.get_require_subcommand_min() == 0 || rest.empty() || rest.front().starts_with('-')) {
    return shell.RefuseUsage(command, error.what());
  }
  return shell.RefuseUsage(
      command, fmt::format("{}{} has no command '{}'", &command == &app ? "" : "keyctl ",
                           command.get_name(), rest.front()));
}

}  // namespace

ExitCode RunKeyctl(const std::vector<std::string>& arguments, Environment& environment) {
  CLI::App app("keyctl: administers keyd, which keeps keys in an HSM or TPM and runs sessions",
               "keyctl");
  Shell shell(environment);
  AddCommands(app, shell);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::Success& wanted) {  // --help, --version
    app.exit(wanted, environment.out, environment.err);
    return ExitCode::kOk;
  } catch (const CLI::ParseError& error) {
    return RefuseUsage(shell, app, error);
  }
  return shell.RunChosen();
}

}  // namespace keyward::keyctl
