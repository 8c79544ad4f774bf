// What every command of keyctl shares: its options, its answers, and the way it fails.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "keyctl/environment.h"
#include "keyctl/exit_code.h"
#include "keyctl/progress_note.h"

namespace keyward::keyctl {

using Json = nlohmann::ordered_json;

class Shell {
 public:
  using Run = std::function<Result<ExitCode>(Shell&)>;
  // Completes "cannot ...", once the command line was read.
  using Describe = std::function<std::string()>;

  explicit Shell(Environment& environment) : environment_(environment) {}

  // Makes `command` do `run`, and gives it --json.
  void Bind(CLI::App& command, Describe describe, Run run);
  // Gives `command` --yes, for Confirm.
  void AddYes(CLI::App& command);
  void AddJson(CLI::App& command);
  // Does what the command line chose, with a note for someone who waits. Failures are told on the
  // error stream.
  ExitCode RunChosen();
  // Tells what is wrong with the command line, which was understood as far as `command`.
  ExitCode RefuseUsage(const CLI::App& command, const std::string& why);

  // To ask keyd for something, which may take long. Errors: those of AdminClient::Connect.
  Result<AdminClient*> Admin();
  // As the environment's, which may take long.
  Result<std::string> RunKeyd(const KeydCall& call);
  Result<SecretBytes> AskSecret(const std::string& question);
  // Asks, unless --yes was given. False when the answer is no, or when nobody can be asked; either
  // is told.
  bool Confirm(const std::string& question);

  // What follows may take long: someone who waits is told so, until something is written. There
  // is no note with --json. Runs already when the command begins, and after all of the above.
  void BeginWait();
  // Nothing is written until BeginWait but by the caller.
  void EndWait();
  // How far it has come: "1000 records".
  void TellSoFar(std::string what);

  bool json() const { return json_; }
  bool color() const { return environment_.color; }
  // To be written to at once: either ends the wait.
  std::ostream& out();
  std::ostream& err();
  Environment& environment() { return environment_; }
  void PrintJson(const Json& value);
  // A sentence for people; nothing with --json.
  void Say(const std::string& sentence);

 private:
  struct Failure {
    std::string what;  // "cannot show key 'x'"
    Error error;
    std::string remedy;
    ExitCode code;
  };

  // Tells a failure: "keyctl: cannot X: why — remedy", or as JSON.
  ExitCode Report(const Failure& failure);

  Environment& environment_;
  std::optional<ProgressNote> note_;
  std::unique_ptr<AdminClient> admin_;
  const CLI::App* chosen_ = nullptr;
  Describe describe_;
  Run run_;
  bool json_ = false;
  bool yes_ = false;
};

// "1 session ended", "2 sessions ended"
std::string SessionsEnded(uint32_t count);

// Each adds its words to keyctl.
void AddInitCommand(CLI::App& app, Shell& shell);
void AddStatusCommand(CLI::App& app, Shell& shell);
void AddKeyCommands(CLI::App& app, Shell& shell);
// Of `keyctl key`.
void AddKeyLifecycleCommands(CLI::App& keys, Shell& shell);
void AddRevocationsCommand(CLI::App& keys, Shell& shell);
void AddModuleCommands(CLI::App& app, Shell& shell);
void AddSessionsCommands(CLI::App& app, Shell& shell);
void AddPolicyCommands(CLI::App& app, Shell& shell);
void AddAuditCommands(CLI::App& app, Shell& shell);
// Of `keyctl audit`.
void AddAuditLogCommands(CLI::App& audit_app, Shell& shell);
// Of `keyctl policy`.
void AddPcrCommands(CLI::App& policy_app, Shell& shell);
void AddDoctorCommand(CLI::App& app, Shell& shell);
void AddSealCommands(CLI::App& app, Shell& shell);
void AddMasterCommands(CLI::App& app, Shell& shell);
// Of `keyctl master`.
void AddResealCommand(CLI::App& master, Shell& shell);
void AddBackupCommands(CLI::App& app, Shell& shell);
// Of `keyctl backup`.
void AddDrillCommand(CLI::App& backup, Shell& shell);

}  // namespace keyward::keyctl
