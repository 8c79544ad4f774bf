#include <fmt/format.h>

#include "core/encoding.h"
#include "keyctl/backup_open.h"
#include "keyctl/custodian_name.h"
#include "keyctl/file.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

constexpr size_t kMaxCertificates = size_t{80} * 1024;  // bytes, as keyd takes them

struct CreateArguments {
  std::vector<std::string> certificates;
  std::string output;
  bool force = false;
};

Result<std::string> ReadCertificates(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths) {
    KEYWARD_ASSIGN(const std::string one, ReadTextFile(path, kMaxCertificates));
    text += one + "\n";
  }
  return text;
}

Json LeftOutJson(const CreatedBackup& backup) {
  Json rows = Json::array();
  for (const BackupVersion& version : backup.left_out) {
    rows.push_back({{"name", version.key},
                    {"version", version.number},
                    {"custodian", version.custodian},
                    {"fingerprint", version.fingerprint}});
  }
  return rows;
}

void PrintCreated(Shell& shell, const CreateArguments& wanted, const CreatedBackup& backup) {
  const std::string id = ToHex(backup.id);
  if (shell.json()) {
    shell.PrintJson({{"id", id},
                     {"file", wanted.output},
                     {"bytes", backup.der.size()},
                     {"private_halves", backup.held.size()},
                     {"left_out", LeftOutJson(backup)}});
    return;
  }
  shell.Say(fmt::format("Backup {} is in {}, with the private halves of {} key versions.",
                        id.substr(0, 16), wanted.output, backup.held.size()));
  for (const BackupVersion& version : backup.left_out) {
    shell.Say(fmt::format("Not in it, as the {} keeps it to itself: {} version {} ({})",
                          version.custodian, version.key, version.number, version.fingerprint));
  }
  shell.Say("Prove that it opens: keyctl backup drill " + wanted.output + " --key RECOVERY-KEY");
}

Result<void> CheckBackupOutput(const CreateArguments& wanted) {
  Result<void> checked = CheckOutput(wanted.output, wanted.force);
  if (checked || checked.error().code() != ErrorCode::kAlreadyExists) return checked;
  return Fail(ErrorCode::kAlreadyExists, checked.error().message() + "; --force replaces it");
}

Result<ExitCode> Create(Shell& shell, const CreateArguments& wanted) {
  KEYWARD_ASSIGN(const std::string certificates, ReadCertificates(wanted.certificates));
  // keyd takes what it has given out for the latest backup.
  KEYWARD_TRY(CheckBackupOutput(wanted));
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const CreatedBackup backup, admin->CreateBackup(certificates));
  KEYWARD_TRY(WriteOutput(wanted.output, backup.der, wanted.force));
  PrintCreated(shell, wanted, backup);
  return ExitCode::kOk;
}

std::string Question(const BackupReport& report, const OpenArguments& wanted) {
  return fmt::format(
      "About to make a master key in the {}, and to restore the backup of '{}' made by service {} "
      "to {}. What was revoked after it was made comes back. Go on?",
      Upper(wanted.custodian), Printable(report.host), report.service.substr(0, 16), wanted.state);
}

void PrintRestored(Shell& shell, const BackupReport& report, const OpenArguments& wanted) {
  if (shell.json()) return shell.PrintJson(report.json);
  for (const std::string& version : report.lost->versions) {
    shell.Say("Lost, as this hardware does not have it: " + version);
  }
  for (const std::string& module : report.lost->modules) {
    shell.Say(fmt::format("Not enrolled any more, as its key is lost: {}", module));
  }
  if (!report.lost->versions.empty()) {
    shell.Say("Make lost keys anew with keyctl key generate, and enrol their modules.");
  }
  shell.Say(fmt::format("The backup is restored, and its keys sealed anew. keyd can start now{}.",
                        wanted.custodian == "tpm"
                            ? "; then sign the state of the boot with keyctl policy pcr sign"
                            : ""));
  shell.Say("Make a new backup: this one is of the service that is gone.");
}

Result<ExitCode> Restore(Shell& shell, const OpenArguments& wanted) {
  KEYWARD_ASSIGN(const BackupOpener opener, BackupOpener::Create(shell, wanted));
  KEYWARD_ASSIGN(const BackupReport found, opener.Run(shell, "show"));
  if (!shell.json()) PrintBackup(shell, found);
  if (!shell.Confirm(Question(found, wanted))) return ExitCode::kNotConfirmed;
  KEYWARD_ASSIGN(const BackupReport restored, opener.Run(shell, "restore"));
  if (!restored.lost) return Fail(ErrorCode::kInternal, "keyd does not say what it has restored");
  PrintRestored(shell, restored, wanted);
  return ExitCode::kOk;
}

void AddCreate(CLI::App& backup, Shell& shell) {
  CLI::App* command = backup.add_subcommand("create", "Encrypt the state and its keys into a file");
  command->footer(
      "Made for the holder of a recovery key, which stays away from this machine: keyd needs its\n"
      "certificate alone. Several may be given; each key opens the file, and so does\n"
      "'openssl cms -decrypt -inform DER'. Keys of custody hardware cannot be in it: they are "
      "listed.\n\n"
      "Examples:\n"
      "  keyctl backup create --to recovery.crt.pem --output keyward.backup\n"
      "  keyctl backup create --to a.pem --to b.pem --output keyward.backup --force");
  const auto wanted = std::make_shared<CreateArguments>();
  command->add_option("--to", wanted->certificates, "A recovery certificate, PEM; may be repeated")
      ->type_name("CERT")
      ->required()
      ->allow_extra_args(false);
  command->add_option("--output", wanted->output, "The file to make, mode 0600")
      ->type_name("FILE")
      ->required();
  command->add_flag("--force", wanted->force, "Replace a file that is there");
  shell.Bind(
      *command, [] { return "create a backup"; },
      [wanted](Shell& self) { return Create(self, *wanted); });
}

void AddRestore(CLI::App& backup, Shell& shell) {
  CLI::App* command =
      backup.add_subcommand("restore", "Make a new service of a backup, on this hardware");
  command->footer(
      "Makes a master key in the HSM or TPM, and in an empty state directory a store with what\n"
      "the backup holds, sealed by this hardware. keyd must not be running. Keys that only the\n"
      "lost hardware had come back as destroyed, and are listed. Run it as root or as keyd's "
      "user.\n\n"
      "Examples:\n"
      "  keyctl backup restore keyward.backup --key recovery.pem --custodian hsm\n"
      "  keyctl backup restore keyward.backup --key recovery.pem --custodian tpm \\\n"
      "      --pcr-authority pcr-authority.pub.pem");
  const auto wanted = std::make_shared<OpenArguments>();
  AddOpenOptions(*command, *wanted);
  AddCustodianOptions(*command, *wanted);
  command->get_option("--custodian")->required();
  shell.AddYes(*command);
  shell.Bind(
      *command, [wanted] { return fmt::format("restore '{}'", wanted->file); },
      [wanted](Shell& self) { return Restore(self, *wanted); });
}

}  // namespace

void AddBackupCommands(CLI::App& app, Shell& shell) {
  CLI::App* backup = app.add_subcommand("backup", "Make, prove and restore backups of the keys");
  backup->require_subcommand(1);
  backup->footer(
      "Examples:\n"
      "  keyctl backup create --to recovery.crt.pem --output keyward.backup\n"
      "  keyctl backup drill keyward.backup --key recovery.pem\n"
      "  keyctl backup restore keyward.backup --key recovery.pem --custodian hsm");
  AddCreate(*backup, shell);
  AddDrillCommand(*backup, shell);
  AddRestore(*backup, shell);
}

}  // namespace keyward::keyctl
