#include <fmt/format.h>

#include "core/encoding.h"
#include "keyctl/custodian_name.h"
#include "keyctl/shell.h"

namespace keyward::keyctl {
namespace {

struct InitArguments {
  std::string custodian;
  std::string pcr_authority;
  bool adopt = false;
  std::string config = "/etc/keyward/security.yaml";
  std::string state = "/var/lib/keyward";
};

Result<ExitCode> Initialise(Shell& shell, const InitArguments& wanted) {
  std::vector<std::string> arguments = {"--config",   wanted.config, "--state",
                                        wanted.state, "--init",      wanted.custodian};
  if (!wanted.pcr_authority.empty()) {
    arguments.insert(arguments.end(), {"--pcr-authority", wanted.pcr_authority});
  }
  if (wanted.adopt) arguments.emplace_back("--adopt");
  KEYWARD_TRY(shell.RunKeyd({arguments, wanted.state, {}}));
  if (shell.json()) {
    shell.PrintJson({{"custodian", wanted.custodian}, {"state", wanted.state}});
  } else {
    shell.Say(fmt::format("The master key is made, in the {}. keyd can start now.",
                          Upper(wanted.custodian)));
  }
  return ExitCode::kOk;
}

constexpr const char* kAskSeal =
    "About to seal the service: every session ends, and nothing works until 'keyctl unseal'. Go "
    "on?";
constexpr const char* kAskZeroize =
    "About to destroy the master key with its second seal, and every key in the hardware, FOR "
    "EVER: what is stored can only be brought back from a backup. Go on?";

// The certificate of a second seal, of which copies may be elsewhere; "" where none is known.
std::string RecoverySealOf(AdminClient& admin) {
  const Result<SealsSummary> seals = admin.ShowSeals();
  return seals && seals->second == "recovery" ? ToHex(seals->holder) : std::string();
}

std::string WhatRecovers(const std::string& certificate) {
  return fmt::format(
      "A copy of the second seal, with the recovery key of certificate {} and a copy of the disk, "
      "would still open what is stored: destroy that key or those copies.",
      certificate.substr(0, 16));
}

Result<ExitCode> SealOnly(Shell& shell) {
  if (!shell.Confirm(kAskSeal)) return ExitCode::kNotConfirmed;
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const uint32_t ended, admin->Seal());
  if (shell.json()) {
    shell.PrintJson({{"sealed", true}, {"zeroized", false}, {"sessions_ended", ended}});
  } else {
    shell.Say(fmt::format("The service is sealed; {}.", SessionsEnded(ended)));
  }
  return ExitCode::kOk;
}

Result<ExitCode> Zeroize(Shell& shell) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  const std::string certificate = RecoverySealOf(*admin);
  if (!certificate.empty()) shell.Say(WhatRecovers(certificate));
  if (!shell.Confirm(kAskZeroize)) return ExitCode::kNotConfirmed;
  KEYWARD_ASSIGN(const uint32_t ended, admin->ZeroizeAll());
  if (shell.json()) {
    Json json = {{"sealed", true}, {"zeroized", true}, {"sessions_ended", ended}};
    json["recovery_seal"] = certificate.empty() ? Json() : Json(certificate);
    shell.PrintJson(json);
  } else {
    shell.Say(fmt::format("The service is sealed and its master key destroyed; {}.",
                          SessionsEnded(ended)));
  }
  return ExitCode::kOk;
}

Result<ExitCode> Unseal(Shell& shell) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_TRY(admin->Unseal());
  if (shell.json()) {
    shell.PrintJson({{"sealed", false}});
  } else {
    shell.Say("The service is unsealed.");
  }
  return ExitCode::kOk;
}

}  // namespace

void AddInitCommand(CLI::App& app, Shell& shell) {
  CLI::App* command =
      app.add_subcommand("init", "Make the master key, once, before the first start");
  command->footer(
      "The master key protects everything that keyd stores. It is made in the HSM or TPM that\n"
      "security.yaml configures; keyd must not be running. Run it as root or as keyd's user.\n"
      "A TPM releases it only in a state of the boot that the PCR authority has signed: make a\n"
      "key for that on another machine, and keep its private half there.\n\n"
      "Examples:\n"
      "  keyctl init --custodian hsm\n"
      "  keyctl init --custodian tpm --pcr-authority pcr-authority.pub.pem\n"
      "  keyctl init --custodian hsm --adopt    takes over a state.db from before");
  const auto wanted = std::make_shared<InitArguments>();
  command->add_option("--custodian", wanted->custodian, "Where the master key goes")
      ->required()
      ->check(CLI::IsMember({"hsm", "tpm"}));
  command
      ->add_option("--pcr-authority", wanted->pcr_authority,
                   "For a TPM: the public key (PEM, ECDSA P-256) of who signs PCR policies")
      ->type_name("FILE");
  command->add_flag("--adopt", wanted->adopt,
                    "Take over the keys of a state.db that has no master key yet");
  command->add_option("--config", wanted->config, "security.yaml")
      ->type_name("FILE")
      ->capture_default_str();
  command->add_option("--state", wanted->state, "keyd's state directory")
      ->type_name("DIR")
      ->capture_default_str();
  shell.Bind(
      *command, [] { return "make the master key"; },
      [wanted](Shell& self) { return Initialise(self, *wanted); });
}

void AddSealCommands(CLI::App& app, Shell& shell) {
  CLI::App* seal = app.add_subcommand("seal", "Wipe every key from memory and stop serving");
  seal->footer(
      "Ends every session and closes every channel before it returns. The service stays sealed,\n"
      "also after a restart, until 'keyctl unseal'.\n\n"
      "With --zeroize-all, for emergencies, the hardware then destroys its part of the master key\n"
      "and of its second seal, and the keys that it holds: what is on the disk is useless from "
      "then\n"
      "on. Where the hardware was away, repeat it when it is back. A second seal for a recovery\n"
      "key is removed, but a copy of it, with that key and a copy of the disk, would still open\n"
      "what is stored.\n\n"
      "Examples:\n"
      "  keyctl seal\n"
      "  keyctl seal --zeroize-all --yes");
  shell.AddYes(*seal);
  const auto zeroize = std::make_shared<bool>(false);
  seal->add_flag("--zeroize-all", *zeroize, "Destroy the master key and every key, for ever");
  shell.Bind(
      *seal, [] { return "seal the service"; },
      [zeroize](Shell& self) { return *zeroize ? Zeroize(self) : SealOnly(self); });
  CLI::App* unseal = app.add_subcommand("unseal", "Have the hardware release the master key again");
  unseal->footer("Examples:\n  keyctl unseal");
  shell.Bind(*unseal, [] { return "unseal the service"; }, Unseal);
}

}  // namespace keyward::keyctl
