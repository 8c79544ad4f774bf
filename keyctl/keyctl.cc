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
  AddStatusCommand(app, shell);
  AddKeyCommands(app, shell);
  AddModuleCommands(app, shell);
  AddSessionsCommands(app, shell);
  AddPolicyCommands(app, shell);
}

ExitCode ReportUsage(Shell& shell, const CLI::ParseError& error) {
  shell.Report("the command line is wrong", Error(ErrorCode::kInvalidArgument, error.what()),
               ExitCode::kUsage);
  return ExitCode::kUsage;
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
    return ReportUsage(shell, error);
  }
  return shell.RunChosen();
}

}  // namespace keyward::keyctl
