#include <fmt/format.h>

#include "core/encoding.h"
#include "core/public_key.h"
#include "keyctl/custodian_name.h"
#include "keyctl/file.h"
#include "keyctl/fingerprint.h"
#include "keyctl/human.h"
#include "keyctl/shell.h"

namespace keyward::keyctl {
namespace {

constexpr size_t kMaxFile = size_t{80} * 1024;  // bytes, as keyd takes them
constexpr const char* kRecovery = "recovery";

struct SealArguments {
  std::string custodian;
  std::string pcr_authority;
  std::string certificate;
};

// What keyd takes with the place of a second seal.
Result<Bytes> MaterialOf(const SealArguments& wanted) {
  if (!wanted.certificate.empty()) {
    KEYWARD_ASSIGN(const std::string pem, ReadTextFile(wanted.certificate, kMaxFile));
    return ToBytes(AsBytes(pem));
  }
  if (wanted.pcr_authority.empty()) return Bytes();
  KEYWARD_ASSIGN(const std::string pem, ReadTextFile(wanted.pcr_authority, kMaxPem));
  KEYWARD_ASSIGN(const PublicKey authority, PublicKey::FromPem(pem));
  return authority.spki();
}

// SHA-256 in hex of whose the second seal is; "" where that is nobody's.
std::string HolderOf(const SealsSummary& seals) {
  return seals.second == kRecovery ? ToHex(seals.holder) : FingerprintOf(seals.holder);
}

Json SecondJson(const SealsSummary& seals) {
  if (seals.second.empty()) return {};
  Json second = {{"place", seals.second}, {"made", Timestamp(seals.made)}};
  if (seals.second == kRecovery) second["certificate"] = HolderOf(seals);
  if (seals.second == "tpm") second["authority"] = HolderOf(seals);
  return second;
}

Json SealsJson(const SealsSummary& seals) {
  return {{"custodian", seals.custodian},
          {"second", SecondJson(seals)},
          {"former", seals.former.empty() ? Json() : Json(seals.former)}};
}

std::string SecondText(const SealsSummary& seals) {
  const std::string made = Timestamp(seals.made);
  if (seals.second.empty()) {
    return "There is no second seal: what this hardware loses, only a backup brings back.";
  }
  if (seals.second == kRecovery) {
    return fmt::format("A second seal is for the recovery certificate {}, made {}.",
                       HolderOf(seals), made);
  }
  return fmt::format("A second seal is in the {}, made {}{}.", Upper(seals.second), made,
                     seals.second == "tpm" ? ", for PCRs signed by " + HolderOf(seals) : "");
}

Result<ExitCode> PrintSeals(Shell& shell, AdminClient& admin) {
  KEYWARD_ASSIGN(const SealsSummary seals, admin.ShowSeals());
  if (shell.json()) {
    shell.PrintJson(SealsJson(seals));
    return ExitCode::kOk;
  }
  shell.Say(fmt::format("The master key is in the {}.", Upper(seals.custodian)));
  shell.Say(SecondText(seals));
  if (seals.former == kRefusedFormer) {
    shell.Say(
        "The file master-key.former in the state directory is not as keyd wrote it: keyd destroys "
        "nothing by it. Find out who wrote it, and move it away.");
  } else if (!seals.former.empty()) {
    shell.Say(
        fmt::format("The {} that had it before has not destroyed its part yet; keyd has it "
                    "do so when it answers.",
                    Upper(seals.former)));
  }
  return ExitCode::kOk;
}

Result<ExitCode> Show(Shell& shell) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  return PrintSeals(shell, *admin);
}

Result<ExitCode> Make(Shell& shell, const SealArguments& wanted) {
  if (wanted.custodian.empty() == wanted.certificate.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "say either --custodian or --to");
  }
  KEYWARD_ASSIGN(const Bytes material, MaterialOf(wanted));
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  const std::string place = wanted.custodian.empty() ? kRecovery : wanted.custodian;
  KEYWARD_TRY(admin->MakeSecondSeal(place, material));
  return PrintSeals(shell, *admin);
}

constexpr const char* kAskForget =
    "About to destroy the second seal of the master key: if the hardware that has the first is "
    "lost, only a backup brings back what is stored. Go on?";

Result<ExitCode> Forget(Shell& shell, bool lost) {
  if (!shell.Confirm(kAskForget)) return ExitCode::kNotConfirmed;
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_TRY(admin->ForgetSecondSeal(lost));
  if (shell.json()) {
    shell.PrintJson({{"forgotten", true}});
  } else {
    shell.Say("There is no second seal any more.");
  }
  return ExitCode::kOk;
}

void AddSeal(CLI::App& master, Shell& shell) {
  CLI::App* command = master.add_subcommand("seal", "Seal the master key a second time");
  command->footer(
      "Where: in the other custodian that security.yaml configures, or for the holder of a\n"
      "recovery key, of which keyd needs the certificate alone. There is one second seal at most.\n"
      "keyctl master reseal uses it when the hardware that has the master key is lost.\n\n"
      "Examples:\n"
      "  keyctl master seal --custodian hsm\n"
      "  keyctl master seal --custodian tpm --pcr-authority pcr-authority.pub.pem\n"
      "  keyctl master seal --to recovery.crt.pem");
  const auto wanted = std::make_shared<SealArguments>();
  command->add_option("--custodian", wanted->custodian, "The other custodian")
      ->check(CLI::IsMember({"hsm", "tpm"}));
  command
      ->add_option("--pcr-authority", wanted->pcr_authority,
                   "For a TPM: the public key (PEM, ECDSA P-256) of who signs PCR policies")
      ->type_name("FILE")
      ->needs("--custodian");
  command->add_option("--to", wanted->certificate, "A recovery certificate, PEM")
      ->type_name("CERT");
  shell.Bind(
      *command, [] { return "seal the master key a second time"; },
      [wanted](Shell& self) { return Make(self, *wanted); });
}

void AddShow(CLI::App& master, Shell& shell) {
  CLI::App* command = master.add_subcommand("show", "Tell where the master key is sealed");
  command->footer(
      "Also tells of hardware that had it before and has not destroyed its part yet.\n\n"
      "Examples:\n"
      "  keyctl master show\n"
      "  keyctl master show --json | jq -r .second.place");
  shell.Bind(*command, [] { return "tell where the master key is sealed"; }, Show);
}

void AddForget(CLI::App& master, Shell& shell) {
  CLI::App* command = master.add_subcommand("forget", "Destroy the second seal");
  command->footer(
      "The hardware destroys its part first; where it is away, nothing is forgotten, unless\n"
      "--lost says that it will not come back. Of a seal for a recovery key the file is removed:\n"
      "a copy of it still opens with that key.\n\n"
      "Examples:\n"
      "  keyctl master forget\n"
      "  keyctl master forget --lost --yes");
  shell.AddYes(*command);
  const auto lost = std::make_shared<bool>(false);
  command->add_flag("--lost", *lost, "The hardware that has it will not come back");
  shell.Bind(
      *command, [] { return "destroy the second seal"; },
      [lost](Shell& self) { return Forget(self, *lost); });
}

}  // namespace

void AddMasterCommands(CLI::App& app, Shell& shell) {
  CLI::App* master =
      app.add_subcommand("master", "Seal the master key twice, and move it when hardware is lost");
  master->require_subcommand(1);
  master->footer(
      "Examples:\n"
      "  keyctl master seal --custodian hsm\n"
      "  keyctl master show\n"
      "  keyctl master reseal --custodian hsm    when the hardware that has it is lost");
  AddSeal(*master, shell);
  AddShow(*master, shell);
  AddForget(*master, shell);
  AddResealCommand(*master, shell);
}

}  // namespace keyward::keyctl
