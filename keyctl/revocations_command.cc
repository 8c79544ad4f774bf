#include <fmt/format.h>

#include "core/encoding.h"
#include "core/timestamp.h"
#include "keyctl/file.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

constexpr size_t kShownFingerprint = 16;  // hex digits; all of it in JSON

struct Arguments {
  std::string export_to;
  std::string import_from;
  std::string verify;
  std::string signer;
};

Json RowJson(const Revocation& revocation) {
  return {{"fingerprint", ToHex(revocation.fingerprint)},
          {"kind", revocation.version == 0 ? "peer" : "key"},
          {"name", revocation.name},
          {"version", revocation.version == 0 ? Json() : Json(revocation.version)},
          {"revoked", FormatTimestamp(revocation.at)}};
}

Result<ExitCode> List(Shell& shell) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const std::vector<RevocationSummary> revocations, admin->ListRevocations());
  if (shell.json()) {
    Json rows = Json::array();
    for (const RevocationSummary& each : revocations) {
      rows.push_back(RowJson(each.revocation));
      rows.back()["issuer"] = each.issuer.empty() ? Json() : Json(ToHex(each.issuer));
    }
    shell.PrintJson(rows);
    return ExitCode::kOk;
  }
  if (revocations.empty()) {
    shell.Say("Nothing is revoked.");
    return ExitCode::kOk;
  }
  Table table({"FINGERPRINT", "NAME", "VERSION", "REVOKED", "BY LIST OF"});
  for (const RevocationSummary& each : revocations) {
    const Revocation& revocation = each.revocation;
    table.Add({ToHex(revocation.fingerprint).substr(0, kShownFingerprint), revocation.name,
               revocation.version == 0 ? "peer" : std::to_string(revocation.version),
               FormatTimestamp(revocation.at),
               each.issuer.empty() ? "-" : ToHex(each.issuer).substr(0, kShownFingerprint)});
  }
  table.Print(shell.out(), shell.color());
  return ExitCode::kOk;
}

Result<ExitCode> Export(Shell& shell, const Arguments& arguments) {
  constexpr bool kReplace = true;  // a list is exported again and again
  KEYWARD_TRY(CheckOutput(arguments.export_to, kReplace));
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const ExportedRevocations exported, admin->ExportRevocations());
  KEYWARD_ASSIGN(const RevocationList list, ReadRevocationList(exported.list, exported.signer));
  KEYWARD_TRY(WriteOutput(arguments.export_to, AsBytes(exported.list), kReplace));
  if (shell.json()) {
    shell.PrintJson({{"file", arguments.export_to},
                     {"revocations", list.revocations.size()},
                     {"epoch", list.epoch},
                     {"signer", ToHex(exported.signer.Fingerprint())}});
    return ExitCode::kOk;
  }
  shell.Say(fmt::format(
      "Wrote {} revocations to {}, signed by {}.\n"
      "Another host takes them with 'keyctl key revocations --import {} --signer PEM', where the\n"
      "PEM is what 'keyctl key show keyward-service --pem' prints here.",
      list.revocations.size(), arguments.export_to, ToHex(exported.signer.Fingerprint()),
      arguments.export_to));
  return ExitCode::kOk;
}

Result<PublicKey> ReadSigner(const Arguments& arguments) {
  if (arguments.signer.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "say with --signer whose list it is: a PEM file with the public key");
  }
  KEYWARD_ASSIGN(const std::string pem, ReadTextFile(arguments.signer, kMaxPem));
  return PublicKey::FromPem(pem);
}

Result<ExitCode> Import(Shell& shell, const Arguments& arguments) {
  KEYWARD_ASSIGN(const PublicKey signer, ReadSigner(arguments));
  KEYWARD_ASSIGN(const std::string text, ReadTextFile(arguments.import_from, kMaxRevocationList));
  KEYWARD_ASSIGN(const RevocationList list, ReadRevocationList(text, signer));
  if (!shell.Confirm(fmt::format(
          "About to revoke {} public keys for ever, and to end every session with them. Go on?",
          list.revocations.size()))) {
    return ExitCode::kNotConfirmed;
  }
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const ImportedRevocations imported, admin->ImportRevocations(text, signer));
  if (shell.json()) {
    shell.PrintJson({{"added", imported.added},
                     {"known", list.revocations.size() - imported.added},
                     {"sessions_ended", imported.sessions_ended}});
  } else {
    shell.Say(fmt::format("{} of {} revocations were new; {}.", imported.added,
                          list.revocations.size(), SessionsEnded(imported.sessions_ended)));
  }
  return ExitCode::kOk;
}

Result<ExitCode> Verify(Shell& shell, const Arguments& arguments) {
  KEYWARD_ASSIGN(const PublicKey signer, ReadSigner(arguments));
  KEYWARD_ASSIGN(const std::string text, ReadTextFile(arguments.verify, kMaxRevocationList));
  KEYWARD_ASSIGN(const RevocationList list, ReadRevocationList(text, signer));
  if (shell.json()) {
    Json rows = Json::array();
    for (const Revocation& each : list.revocations) rows.push_back(RowJson(each));
    shell.PrintJson(
        {{"issued", FormatTimestamp(list.issued)}, {"epoch", list.epoch}, {"revocations", rows}});
  } else {
    shell.Say(fmt::format("The list holds: {} revocations, issued {}, epoch {}.",
                          list.revocations.size(), FormatTimestamp(list.issued), list.epoch));
  }
  return ExitCode::kOk;
}

Result<ExitCode> Run(Shell& shell, const Arguments& arguments) {
  if (!arguments.export_to.empty()) return Export(shell, arguments);
  if (!arguments.import_from.empty()) return Import(shell, arguments);
  if (!arguments.verify.empty()) return Verify(shell, arguments);
  return List(shell);
}

}  // namespace

void AddRevocationsCommand(CLI::App& keys, Shell& shell) {
  CLI::App* command =
      keys.add_subcommand("revocations", "Show what is revoked, and exchange it with other hosts");
  command->footer(
      "A list is signed by the service's own key, and names public keys by their fingerprints.\n"
      "--verify needs no keyd.\n\n"
      "Examples:\n"
      "  keyctl key revocations\n"
      "  keyctl key revocations --export revoked.txt\n"
      "  keyctl key show keyward-service --pem > service.pem\n"
      "  keyctl key revocations --verify revoked.txt --signer service.pem\n"
      "  keyctl key revocations --import revoked.txt --signer service.pem --yes");
  const auto arguments = std::make_shared<Arguments>();
  CLI::Option* to = command->add_option("--export", arguments->export_to, "Write a signed list")
                        ->type_name("FILE");
  CLI::Option* from =
      command->add_option("--import", arguments->import_from, "Revoke what a list names")
          ->type_name("FILE");
  CLI::Option* verify =
      command->add_option("--verify", arguments->verify, "Check a list, and no more")
          ->type_name("FILE");
  from->excludes(to);
  verify->excludes(to)->excludes(from);
  command->add_option("--signer", arguments->signer, "Public key (PEM) of whose list it is")
      ->type_name("FILE")
      ->excludes(to);
  shell.AddYes(*command);
  shell.Bind(
      *command, [] { return "exchange revocations"; },
      [arguments](Shell& self) { return Run(self, *arguments); });
}

}  // namespace keyward::keyctl
