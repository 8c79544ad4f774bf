#include <fmt/format.h>

#include <algorithm>

#include "core/encoding.h"
#include "keyctl/file.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

constexpr size_t kEd25519HexSize = 64;
constexpr size_t kShownFingerprint = 16;  // hex digits; all of it in JSON

Json ModuleJson(const ModuleSummary& module) {
  return {{"name", module.name},   {"kind", module.kind},
          {"key", module.key},     {"fingerprint", module.fingerprint},
          {"state", module.state}, {"sessions", module.sessions}};
}

Result<ExitCode> ListModules(Shell& shell) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const std::vector<ModuleSummary> modules, admin->ListModules());
  if (shell.json()) {
    Json rows = Json::array();
    for (const ModuleSummary& module : modules) rows.push_back(ModuleJson(module));
    shell.PrintJson(rows);
    return ExitCode::kOk;
  }
  if (modules.empty()) {
    shell.Say("There are no modules. security.yaml names them.");
    return ExitCode::kOk;
  }
  Table table({"NAME", "KIND", "IDENTITY", "FINGERPRINT", "STATE", "SESSIONS"});
  for (const ModuleSummary& module : modules) {
    table.Add({module.name, module.kind, module.key.empty() ? "-" : module.key,
               module.fingerprint.empty() ? "-" : module.fingerprint.substr(0, kShownFingerprint),
               Cell(module.state, ToneOfState(module.state)), std::to_string(module.sessions)});
  }
  table.Print(shell.out(), shell.color());
  return ExitCode::kOk;
}

// A PEM file, or hex: 32 bytes of Ed25519 or a DER SubjectPublicKeyInfo.
Result<PublicKey> ReadPeerKey(const std::string& file_or_hex) {
  const Result<Bytes> hex = FromHex(file_or_hex);
  if (hex && !hex->empty()) {
    return file_or_hex.size() == kEd25519HexSize ? PublicKey::FromEd25519(*hex)
                                                 : PublicKey::FromSpki(*hex);
  }
  KEYWARD_ASSIGN(const std::string text, ReadTextFile(file_or_hex, kMaxPem));
  return PublicKey::FromPem(text);
}

struct EnrolArguments {
  std::string name;
  std::string identity;
  std::string peer_key;
};

Result<ExitCode> EnrolModule(Shell& shell, AdminClient& admin, const EnrolArguments& arguments) {
  KEYWARD_TRY(admin.EnrolModule(arguments.name, arguments.identity));
  if (shell.json()) {
    shell.PrintJson({{"name", arguments.name}, {"kind", "module"}, {"key", arguments.identity}});
  } else {
    shell.Say(fmt::format("Enrolled module {} with key {}.", arguments.name, arguments.identity));
  }
  return ExitCode::kOk;
}

Result<ExitCode> Enrol(Shell& shell, const EnrolArguments& arguments) {
  if (arguments.peer_key.empty()) {
    KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
    return EnrolModule(shell, *admin, arguments);
  }
  KEYWARD_ASSIGN(const PublicKey key, ReadPeerKey(arguments.peer_key));
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_TRY(admin->EnrolPeer(arguments.name, key));
  const std::string fingerprint = ToHex(key.Fingerprint());
  if (shell.json()) {
    shell.PrintJson({{"name", arguments.name}, {"kind", "peer"}, {"fingerprint", fingerprint}});
  } else {
    shell.Say(fmt::format("Enrolled peer {}, fingerprint {}.", arguments.name, fingerprint));
  }
  return ExitCode::kOk;
}

Result<uint32_t> RemoveEither(AdminClient& admin, const std::string& name) {
  KEYWARD_ASSIGN(const std::vector<ModuleSummary> modules, admin.ListModules());
  const auto found = std::ranges::find(modules, name, &ModuleSummary::name);
  if (found == modules.end()) {
    return Fail(ErrorCode::kNotFound, "there is no such module or peer");
  }
  return found->kind == "peer" ? admin.RemovePeer(name) : admin.RemoveModule(name);
}

using EndCall = Result<uint32_t> (*)(AdminClient& admin, const std::string& name);

// `what` is about to happen to 'name', which then is `participle`.
Result<ExitCode> End(Shell& shell, const std::string& name, EndCall call, const char* what,
                     const char* participle) {
  if (!shell.Confirm(
          fmt::format("About to {} '{}', and to end every session with it. Go on?", what, name))) {
    return ExitCode::kNotConfirmed;
  }
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const uint32_t ended, call(*admin, name));
  if (shell.json()) {
    shell.PrintJson({{"name", name}, {"sessions_ended", ended}});
  } else {
    shell.Say(fmt::format("{} is {}; {}.", name, participle, SessionsEnded(ended)));
  }
  return ExitCode::kOk;
}

void AddList(CLI::App& modules, Shell& shell) {
  CLI::App* command = modules.add_subcommand("list", "Show modules and remote peers");
  command->footer("Examples:\n  keyctl module list\n  keyctl module list --json");
  shell.Bind(*command, [] { return "list the modules"; }, ListModules);
}

void AddEnrol(CLI::App& modules, Shell& shell) {
  CLI::App* command = modules.add_subcommand("enrol", "Give a module or remote peer its identity");
  command->footer(
      "A module is one that security.yaml names; its identity is a key kept here. A peer is one\n"
      "whose Ed25519 key is kept elsewhere; only the public half is needed.\n\n"
      "Examples:\n"
      "  keyctl module enrol frontend --identity frontend\n"
      "  keyctl module enrol branch-office --peer-key branch-office.pem\n"
      "  keyctl module enrol sensor-7 --peer-key "
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  const auto arguments = std::make_shared<EnrolArguments>();
  command->add_option("NAME", arguments->name, "The module or peer")->required();
  CLI::Option_group* identity = command->add_option_group("Identity", "One of these");
  identity->add_option("--identity", arguments->identity, "A key kept here")->type_name("KEY");
  identity
      ->add_option("--peer-key", arguments->peer_key,
                   "A public key: a PEM file, or hex of the raw 32 bytes or of the DER form")
      ->type_name("FILE|HEX");
  identity->require_option(1);
  shell.Bind(
      *command, [arguments] { return fmt::format("enrol '{}'", arguments->name); },
      [arguments](Shell& self) { return Enrol(self, *arguments); });
}

struct Ending {
  const char* verb;
  const char* participle;
  const char* what;
  const char* footer;
  EndCall call;
};

void AddEnding(CLI::App& modules, Shell& shell, const Ending& ending) {
  CLI::App* command = modules.add_subcommand(ending.verb, ending.what);
  command->footer(ending.footer);
  const auto name = std::make_shared<std::string>();
  command->add_option("NAME", *name, "The module or peer")->required();
  shell.AddYes(*command);
  shell.Bind(
      *command, [name, ending] { return fmt::format("{} '{}'", ending.verb, *name); },
      [name, ending](Shell& self) {
        return End(self, *name, ending.call, ending.verb, ending.participle);
      });
}

}  // namespace

void AddModuleCommands(CLI::App& app, Shell& shell) {
  CLI::App* modules =
      app.add_subcommand("module", "Enrol, remove and revoke modules and remote peers");
  modules->require_subcommand(1);
  modules->footer(
      "Examples:\n"
      "  keyctl module list\n"
      "  keyctl module enrol frontend --identity frontend");
  AddList(*modules, shell);
  AddEnrol(*modules, shell);
  AddEnding(
      *modules, shell,
      {"remove", "removed", "Take a module's or peer's identity away and end its sessions at once",
       "Examples:\n  keyctl module remove frontend\n  keyctl module remove sensor-7 --yes",
       RemoveEither});
  AddEnding(*modules, shell,
            {"revoke", "revoked", "Remove a module or peer whose key must never be trusted again",
             "A module's identity key is revoked with all its versions. A peer's key can never be\n"
             "enrolled again. Both are in the list of 'keyctl key revocations'.\n\n"
             "Examples:\n  keyctl module revoke frontend\n  keyctl module revoke sensor-7 --yes",
             [](AdminClient& admin, const std::string& name) { return admin.RevokeModule(name); }});
}

}  // namespace keyward::keyctl
