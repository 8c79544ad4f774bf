#include <fmt/format.h>

#include "keyctl/backup_open.h"
#include "keyctl/custodian_name.h"
#include "keyctl/human.h"
#include "keyctl/secret_input.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

struct ResealArguments {
  std::string custodian;
  std::string pcr_authority;
  std::string key_file;  // empty: a custodian has the second seal
  std::string passphrase_file;
  std::string config = "/etc/keyward/security.yaml";
  std::string state = "/var/lib/keyward";
};

// What a keyd that keyctl has started says: see docs/STORE_FORMAT.md.
struct Report {
  Json json;  // as keyd gave it
  std::string opened_by;
  std::string former;
  bool former_answers = false;
  uint64_t epoch = 0;
  WallTime last_change;
  std::vector<std::string> lost;  // "web version 1 (fingerprint)"
  std::string second;
  std::vector<std::string> leftovers;
};

Report ReportFrom(Json json) {
  Report report;
  report.opened_by = json.at("opened_by");
  report.former = json.at("former");
  report.former_answers = json.at("former_answers");
  report.epoch = json.at("epoch");
  report.last_change =
      WallTime(std::chrono::milliseconds(json.at("last_change_ms").get<int64_t>()));
  for (const Json& version : json.at("lost")) {
    report.lost.push_back(fmt::format("{} version {} ({})", version.at("name").get<std::string>(),
                                      version.at("version").get<uint32_t>(),
                                      version.at("fingerprint").get<std::string>()));
  }
  report.second = json.at("second");
  report.leftovers = json.at("leftovers").get<std::vector<std::string>>();
  report.json = std::move(json);
  return report;
}

Result<Report> Parse(const std::string& text) {
  try {
    return ReportFrom(Json::parse(text));
  } catch (const Json::exception& error) {
    return Fail(Error(ErrorCode::kInternal, "keyd and keyctl are not of one version")
                    .WithCause(error.what()));
  }
}

// `step`: "show" or "move".
Result<Report> Run(Shell& shell, const ResealArguments& wanted, const RecoverySecrets& secrets,
                   const std::string& step) {
  KeydCall call{.arguments = {"--config", wanted.config, "--state", wanted.state, "--reseal", step,
                              "--init", wanted.custodian},
                .state_directory = wanted.state,
                .descriptors = {}};
  const auto add = [&call](const char* option, const std::string& value) {
    call.arguments.insert(call.arguments.end(), {option, value});
  };
  if (!wanted.pcr_authority.empty()) add("--pcr-authority", wanted.pcr_authority);
  UniqueFd key;
  UniqueFd passphrase;
  static_assert(kFirstDescriptor == 3);
  if (!secrets.key.empty()) {
    KEYWARD_ASSIGN(key, PipeWith(secrets.key));
    call.descriptors.push_back(key.get());
    add("--recovery-key-fd", "3");
  }
  if (!secrets.passphrase.empty()) {
    KEYWARD_ASSIGN(passphrase, PipeWith(secrets.passphrase));
    call.descriptors.push_back(passphrase.get());
    add("--passphrase-fd", "4");
  }
  KEYWARD_ASSIGN(const std::string answer, shell.RunKeyd(call));
  return Parse(answer);
}

void PrintFound(Shell& shell, const Report& found) {
  shell.Say(fmt::format(
      "The stored state is of epoch {}; its last change that has a time is of {}.", found.epoch,
      found.last_change == WallTime() ? "never" : Timestamp(found.last_change)));
  if (found.former_answers) {
    shell.Say(fmt::format("The {} that has the master key answers, and confirms that epoch.",
                          Upper(found.former)));
  } else {
    shell.Say(
        fmt::format("The {} that had the master key does not answer: nothing confirms that "
                    "this is the latest state.",
                    Upper(found.former)));
  }
  for (const std::string& version : found.lost) {
    shell.Say(fmt::format("Lost with the {}: {}", Upper(found.former), Printable(version)));
  }
}

std::string Question(const Report& found, const ResealArguments& wanted) {
  return fmt::format(
      "About to move the master key from the {} to the {}{} Go on?", Upper(found.former),
      Upper(wanted.custodian),
      found.former_answers
          ? ", and to destroy what the former holds of it."
          : ". If this is an older copy of the state, what was revoked since comes back.");
}

void PrintMoved(Shell& shell, const Report& moved, const ResealArguments& wanted) {
  if (shell.json()) return shell.PrintJson(moved.json);
  shell.Say(fmt::format(
      "The master key is in the {}. keyd can start now{}.", Upper(wanted.custodian),
      wanted.custodian == "tpm" ? "; then sign the state of the boot with keyctl policy pcr sign"
                                : ""));
  for (const std::string& leftover : moved.leftovers) {
    shell.Say("Could not be destroyed: " + Printable(leftover));
  }
  if (!moved.lost.empty()) {
    shell.Say("Make keys for those that are lost: keyctl key destroy, then keyctl key generate.");
  }
  if (moved.second.empty()) shell.Say("There is no second seal now: keyctl master seal makes one.");
}

Result<ExitCode> Reseal(Shell& shell, const ResealArguments& wanted) {
  RecoverySecrets secrets;
  if (!wanted.key_file.empty()) {
    KEYWARD_ASSIGN(secrets, ReadRecoverySecrets(shell, wanted.key_file, wanted.passphrase_file));
  }
  KEYWARD_ASSIGN(const Report found, Run(shell, wanted, secrets, "show"));
  if (!shell.json()) PrintFound(shell, found);
  if (!shell.Confirm(Question(found, wanted))) return ExitCode::kNotConfirmed;
  KEYWARD_ASSIGN(const Report moved, Run(shell, wanted, secrets, "move"));
  PrintMoved(shell, moved, wanted);
  return ExitCode::kOk;
}

void AddOptions(CLI::App& command, ResealArguments& wanted) {
  command.add_option("--custodian", wanted.custodian, "Where the master key goes")
      ->required()
      ->check(CLI::IsMember({"hsm", "tpm"}));
  command
      .add_option("--pcr-authority", wanted.pcr_authority,
                  "For a TPM: the public key (PEM, ECDSA P-256) of who signs PCR policies")
      ->type_name("FILE");
  command
      .add_option("--recovery-key", wanted.key_file,
                  "The recovery key (PEM) that the second seal was made for")
      ->type_name("FILE");
  command
      .add_option("--passphrase-file", wanted.passphrase_file,
                  "Holds the passphrase of the recovery key, instead of asking for it")
      ->type_name("FILE")
      ->needs("--recovery-key");
  command.add_option("--config", wanted.config, "security.yaml")->capture_default_str();
  command.add_option("--state", wanted.state, "keyd's state directory")->capture_default_str();
}

}  // namespace

void AddResealCommand(CLI::App& master, Shell& shell) {
  CLI::App* command =
      master.add_subcommand("reseal", "Move the master key to other hardware by its second seal");
  command->footer(
      "For the day when the hardware that has the master key is lost. What is stored stays as it\n"
      "is; keys that only the lost hardware had are listed. keyd must not be running. Run it as\n"
      "root or as keyd's user.\n"
      "Nothing but the lost hardware's counter tells the latest state from an older copy of it:\n"
      "compare the epoch and the time that are shown with what you know. Where that hardware\n"
      "answers after all, its counter has to agree, and its part is destroyed in the end.\n\n"
      "Examples:\n"
      "  keyctl master reseal --custodian hsm\n"
      "  keyctl master reseal --custodian hsm --recovery-key recovery.pem\n"
      "  keyctl master reseal --custodian tpm --pcr-authority pcr-authority.pub.pem \\\n"
      "      --recovery-key recovery.pem --passphrase-file passphrase");
  const auto wanted = std::make_shared<ResealArguments>();
  AddOptions(*command, *wanted);
  shell.AddYes(*command);
  shell.Bind(
      *command, [] { return "reseal the master key"; },
      [wanted](Shell& self) { return Reseal(self, *wanted); });
}

}  // namespace keyward::keyctl
