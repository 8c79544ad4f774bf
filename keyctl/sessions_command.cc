#include <fmt/format.h>

#include <algorithm>

#include "keyctl/human.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

constexpr std::string_view kSessionPath = "/org/keyward/Keyd1/session/";

// The number that people see for an object path.
std::string ShortId(const std::string& id) {
  return id.starts_with(kSessionPath) ? id.substr(kSessionPath.size()) : id;
}

std::string LongId(const std::string& id) {
  return id.starts_with('/') ? id : std::string(kSessionPath) + id;
}

Json SessionJson(const SessionSummary& session) {
  return {{"id", ShortId(session.id)},
          {"path", session.id},
          {"module", session.module},
          {"key", session.key},
          {"key_version", session.key_version},
          {"peer", session.peer},
          {"protocol", session.protocol},
          {"role", session.role},
          {"state", session.state},
          {"expires_in_seconds", session.expires_in.count()},
          {"sealed", session.sealed},
          {"opened", session.opened}};
}

void PrintSessions(Shell& shell, const std::vector<SessionSummary>& sessions) {
  if (sessions.empty()) return shell.Say("There are no live sessions.");
  Table table({"ID", "MODULE", "PEER", "ROLE", "KEY", "STATE", "EXPIRES IN", "SEALED", "OPENED"});
  for (const SessionSummary& session : sessions) {
    table.Add({ShortId(session.id),
               session.module,
               session.peer,
               session.role,
               fmt::format("{} v{}", session.key, session.key_version),
               {session.state, ToneOfState(session.state)},
               HumanDuration(session.expires_in),
               std::to_string(session.sealed),
               std::to_string(session.opened)});
  }
  table.Print(shell.out(), shell.color());
}

Result<ExitCode> ListSessions(Shell& shell, const std::string& module) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(std::vector<SessionSummary> sessions, admin->ListSessions());
  if (!module.empty()) {
    std::erase_if(sessions, [&](const SessionSummary& s) { return s.module != module; });
  }
  if (!shell.json()) {
    PrintSessions(shell, sessions);
    return ExitCode::kOk;
  }
  Json rows = Json::array();
  for (const SessionSummary& session : sessions) rows.push_back(SessionJson(session));
  shell.PrintJson(rows);
  return ExitCode::kOk;
}

struct EndArguments {
  std::string id;
  std::string module;
  bool all = false;
};

std::string Describe(const EndArguments& which) {
  if (which.all) return "end all sessions";
  return which.id.empty() ? fmt::format("end the sessions of '{}'", which.module)
                          : fmt::format("end session {}", which.id);
}

Result<ExitCode> EndSessions(Shell& shell, const EndArguments& which) {
  if (!shell.Confirm(
          fmt::format("About to {}: no session can be brought back. Go on?", Describe(which)))) {
    return ExitCode::kNotConfirmed;
  }
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const uint32_t ended, which.all          ? admin->EndAllSessions()
                                       : which.id.empty() ? admin->EndSessionsOf(which.module)
                                                          : admin->EndSession(LongId(which.id)));
  if (shell.json()) {
    shell.PrintJson({{"sessions_ended", ended}});
  } else {
    shell.Say(SessionsEnded(ended) + ".");
  }
  return ExitCode::kOk;
}

void AddList(CLI::App& sessions, Shell& shell) {
  CLI::App* command = sessions.add_subcommand("list", "Show live sessions");
  command->footer(
      "Examples:\n"
      "  keyctl sessions list\n"
      "  keyctl sessions list --module frontend --json");
  const auto module = std::make_shared<std::string>();
  command->add_option("--module", *module, "Only those of this module");
  shell.Bind(
      *command, [] { return "list the sessions"; },
      [module](Shell& self) { return ListSessions(self, *module); });
}

void AddEnd(CLI::App& sessions, Shell& shell) {
  CLI::App* command = sessions.add_subcommand("end", "End sessions at once; their keys are wiped");
  command->footer(
      "Examples:\n"
      "  keyctl sessions end 7\n"
      "  keyctl sessions end --module frontend\n"
      "  keyctl sessions end --all --yes");
  const auto which = std::make_shared<EndArguments>();
  CLI::Option_group* one = command->add_option_group("Which", "One of these");
  one->add_option("ID", which->id, "The session, as 'keyctl sessions list' shows it");
  one->add_option("--module", which->module, "All of this module");
  one->add_flag("--all", which->all, "All");
  one->require_option(1);
  shell.AddYes(*command);
  shell.Bind(
      *command, [which] { return Describe(*which); },
      [which](Shell& self) { return EndSessions(self, *which); });
}

}  // namespace

void AddSessionsCommands(CLI::App& app, Shell& shell) {
  CLI::App* sessions = app.add_subcommand("sessions", "See and end what runs now");
  sessions->require_subcommand(1);
  sessions->footer("Examples:\n  keyctl sessions list\n  keyctl sessions end --module frontend");
  AddList(*sessions, shell);
  AddEnd(*sessions, shell);
}

}  // namespace keyward::keyctl
