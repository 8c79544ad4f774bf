#include <fmt/format.h>

#include "keyctl/shell.h"
#include "keyctl/version_number.h"

namespace keyward::keyctl {
namespace {

struct Target {
  std::string name;
  uint32_t version = 0;  // 0: all
};

std::optional<uint32_t> VersionOf(const Target& target) {
  return target.version == 0 ? std::nullopt : std::optional(target.version);
}

// "key 'web'", "version 2 of key 'web'"
std::string Describe(const Target& target) {
  const std::string key = fmt::format("key '{}'", target.name);
  return target.version == 0 ? key : fmt::format("version {} of {}", target.version, key);
}

using VersionCall = Result<uint32_t> (AdminClient::*)(const std::string& name);

// What gives a version of the key a new state, which `told` completes: "Version 2 of web ...".
Result<ExitCode> ChangeVersion(Shell& shell, const std::string& name, VersionCall call,
                               const char* told) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const uint32_t version, (admin->*call)(name));
  if (shell.json()) {
    shell.PrintJson({{"name", name}, {"version", version}});
  } else {
    shell.Say(fmt::format("Version {} of {} {}.", version, name, told));
  }
  return ExitCode::kOk;
}

Result<ExitCode> Retire(Shell& shell, const Target& target) {
  if (!shell.Confirm(fmt::format(
          "About to end the grace period of {}, and every session that rests on it. Go on?",
          Describe(target)))) {
    return ExitCode::kNotConfirmed;
  }
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_TRY(admin->RetireVersion(target.name, target.version));
  if (shell.json()) {
    shell.PrintJson({{"name", target.name}, {"version", target.version}});
  } else {
    shell.Say(fmt::format("Version {} of {} is retired.", target.version, target.name));
  }
  return ExitCode::kOk;
}

using EndCall = Result<uint32_t> (AdminClient::*)(const std::string& name,
                                                  std::optional<uint32_t> version);

// Revokes or destroys: `verb` and `participle` are the words for it.
Result<ExitCode> EndKey(Shell& shell, const Target& target, EndCall call, const char* verb,
                        const char* participle) {
  if (!shell.Confirm(
          fmt::format("About to {} {} for ever, and to end every session that uses it. Go on?",
                      verb, Describe(target)))) {
    return ExitCode::kNotConfirmed;
  }
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  const std::optional<uint32_t> version = VersionOf(target);
  KEYWARD_ASSIGN(const uint32_t ended, (admin->*call)(target.name, version));
  if (shell.json()) {
    shell.PrintJson({{"name", target.name},
                     {"version", version ? Json(*version) : Json()},
                     {"sessions_ended", ended}});
  } else {
    shell.Say(fmt::format("{}{} is {}; {}.", version ? fmt::format("Version {} of ", *version) : "",
                          target.name, participle, SessionsEnded(ended)));
  }
  return ExitCode::kOk;
}

void AddVersionCommand(CLI::App& keys, Shell& shell, const char* word, const char* what,
                       const char* footer, VersionCall call, const char* told) {
  CLI::App* command = keys.add_subcommand(word, what);
  command->footer(footer);
  const auto name = std::make_shared<std::string>();
  command->add_option("NAME", *name, "The key")->required();
  shell.Bind(
      *command, [word, name] { return fmt::format("{} key '{}'", word, *name); },
      [name, call, told](Shell& self) { return ChangeVersion(self, *name, call, told); });
}

void AddRetire(CLI::App& keys, Shell& shell) {
  CLI::App* command = keys.add_subcommand("retire", "End the grace period of a version");
  command->footer(
      "A version that was replaced goes on proving itself until its grace period ends by "
      "itself.\n\n"
      "Examples:\n  keyctl key retire frontend --version 1");
  const auto target = std::make_shared<Target>();
  command->add_option("NAME", target->name, "The key")->required();
  command->add_option("--version", target->version, "The version")
      ->check(VersionNumber())
      ->required();
  shell.AddYes(*command);
  shell.Bind(
      *command, [target] { return "retire " + Describe(*target); },
      [target](Shell& self) { return Retire(self, *target); });
}

void AddEnd(CLI::App& keys, Shell& shell, const char* verb, const char* participle,
            const char* what, const char* footer, EndCall call) {
  CLI::App* command = keys.add_subcommand(verb, what);
  command->footer(footer);
  const auto target = std::make_shared<Target>();
  command->add_option("NAME", target->name, "The key")->required();
  command->add_option("--version", target->version, "Only this version")->check(VersionNumber());
  shell.AddYes(*command);
  shell.Bind(
      *command, [verb, target] { return fmt::format("{} {}", verb, Describe(*target)); },
      [target, call, verb, participle](Shell& self) {
        return EndKey(self, *target, call, verb, participle);
      });
}

}  // namespace

void AddKeyLifecycleCommands(CLI::App& keys, Shell& shell) {
  AddVersionCommand(
      keys, shell, "rotate", "Make a new version of a key the active one",
      "Live sessions go on; new ones use the new version. A version that 'keyctl key\n"
      "prepare' has made is taken.\n\n"
      "Examples:\n  keyctl key rotate frontend",
      &AdminClient::RotateKey, "is active");
  AddVersionCommand(keys, shell, "prepare", "Make a version that waits beside the active one",
                    "Its public half can be given to others before it is used.\n\n"
                    "Examples:\n"
                    "  keyctl key prepare web && keyctl key show web --json\n"
                    "  keyctl key activate web",
                    &AdminClient::PrepareKey, "waits to be activated");
  AddVersionCommand(keys, shell, "activate", "Make the version that waits the active one",
                    "The one before retires, for its grace period.\n\n"
                    "Examples:\n  keyctl key activate web",
                    &AdminClient::ActivateKey, "is active");
  AddRetire(keys, shell);
  AddEnd(keys, shell, "revoke", "revoked",
         "Make a key's versions unusable for ever, and end its sessions at once",
         "'keyctl key rotate' can give the key a fresh version afterwards.\n\n"
         "Examples:\n"
         "  keyctl key revoke frontend\n"
         "  keyctl key revoke frontend --version 1\n"
         "  keyctl key revoke frontend --yes        in scripts",
         &AdminClient::RevokeKey);
  AddEnd(keys, shell, "destroy", "destroyed",
         "Delete a key from the HSM or TPM; nothing brings it back",
         "What remains is a record that it was there: its numbers are never used again.\n\n"
         "Examples:\n"
         "  keyctl key destroy frontend\n"
         "  keyctl key destroy frontend --version 1 --yes",
         &AdminClient::DestroyKey);
}

}  // namespace keyward::keyctl
