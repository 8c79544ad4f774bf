#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/encoding.h"
#include "keyctl/file.h"
#include "keyctl/fingerprint.h"
#include "keyctl/policy_signer.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

constexpr size_t kMaxValuesFile = size_t{64} * 1024;

struct PcrArguments {
  std::string pcrs;
  std::string key_file;
  std::string values_file;
};

PcrValues Chosen(const PcrValues& values, const PcrSelection& pcrs) {
  PcrValues chosen;
  for (const auto& [pcr, value] : values) {
    if (pcrs.contains(pcr)) chosen.emplace(pcr, value);
  }
  return chosen;
}

// Whether the PCRs are in that state just now; nothing is known of PCRs that were not read.
bool Holds(const PcrSummary::Policy& policy, const PcrValues& values) {
  return IsInState(values, policy.pcrs, policy.digest).value_or(false);
}

Json SummaryJson(const PcrSummary& summary) {
  Json values = Json::object();
  for (const auto& [pcr, value] : summary.values) values[std::to_string(pcr)] = ToHex(value);
  Json policies = Json::array();
  for (const PcrSummary::Policy& policy : summary.policies) {
    policies.push_back({{"pcrs", policy.pcrs},
                        {"digest", ToHex(policy.digest)},
                        {"holds", Holds(policy, summary.values)}});
  }
  return {{"authority", FingerprintOf(summary.authority)},
          {"bank", "sha256"},
          {"values", values},
          {"policies", policies}};
}

void PrintSummary(Shell& shell, const PcrSummary& summary) {
  shell.Say(fmt::format("Authority (SHA-256 of its key): {}\n", FingerprintOf(summary.authority)));
  Table values({"PCR", "VALUE (SHA-256 BANK)"});
  for (const auto& [pcr, value] : summary.values) values.Add({std::to_string(pcr), ToHex(value)});
  values.Print(shell.out(), shell.color());
  if (summary.policies.empty()) {
    return shell.Say("\nNo state is signed; 'keyctl policy pcr sign' signs this one.");
  }
  shell.Say("");
  Table policies({"SIGNED", "PCRS", "POLICY DIGEST"});
  for (const PcrSummary::Policy& policy : summary.policies) {
    const bool holds = Holds(policy, summary.values);
    policies.Add({Cell(holds ? "holds now" : "other", holds ? Tone::kGood : Tone::kFaint),
                  fmt::format("{}", fmt::join(policy.pcrs, ",")), ToHex(policy.digest)});
  }
  policies.Print(shell.out(), shell.color());
}

Result<ExitCode> Show(Shell& shell, const PcrArguments& arguments) {
  KEYWARD_ASSIGN(const PcrSelection also, ParsePcrs(arguments.pcrs));
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const PcrSummary summary, admin->ShowPcrPolicies(also));
  if (shell.json()) {
    shell.PrintJson(SummaryJson(summary));
  } else {
    PrintSummary(shell, summary);
  }
  return ExitCode::kOk;
}

// Those of the file, or those that the TPM has now.
Result<PcrValues> ValuesToSign(Shell& shell, const PcrArguments& arguments) {
  KEYWARD_ASSIGN(const PcrSelection wanted, ParsePcrs(arguments.pcrs));
  PcrValues values;
  if (!arguments.values_file.empty()) {
    KEYWARD_ASSIGN(const std::string text, ReadTextFile(arguments.values_file, kMaxValuesFile));
    KEYWARD_ASSIGN(values, ParsePcrValues(text));
  } else {
    KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
    KEYWARD_ASSIGN(const PcrSummary summary, admin->ShowPcrPolicies(wanted));
    values = summary.values;
  }
  if (wanted.empty()) return values;
  PcrValues chosen = Chosen(values, wanted);
  if (chosen.size() == wanted.size()) return chosen;
  return Fail(ErrorCode::kInvalidArgument, "there is no value for one of these PCRs");
}

Result<std::string> Question(const PcrValues& values) {
  KEYWARD_ASSIGN(const auto digest, DigestOfPcrPolicy(values));
  std::vector<uint32_t> pcrs;
  for (const auto& [pcr, value] : values) pcrs.push_back(pcr);
  return fmt::format(
      "About to sign the state {} of PCRs {}, in which the TPM then releases the master key: a "
      "signature cannot be withdrawn. Go on?",
      ToHex(digest), fmt::join(pcrs, ","));
}

Result<ExitCode> Sign(Shell& shell, const PcrArguments& arguments) {
  KEYWARD_ASSIGN(const PcrValues values, ValuesToSign(shell, arguments));
  KEYWARD_ASSIGN(const std::string question, Question(values));
  if (!shell.Confirm(question)) return ExitCode::kNotConfirmed;
  shell.EndWait();  // the key's passphrase may be asked for
  KEYWARD_ASSIGN(const SignedPcrPolicy policy, SignPcrPolicy(values, arguments.key_file));
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_TRY(admin->AddPcrPolicy(policy));
  if (shell.json()) {
    shell.PrintJson({{"pcrs", policy.pcrs}, {"digest", ToHex(policy.digest)}});
  } else {
    shell.Say(fmt::format("Signed for PCRs {}: policy {}.", fmt::join(policy.pcrs, ","),
                          ToHex(policy.digest)));
  }
  return ExitCode::kOk;
}

void AddPcrs(CLI::App& command, PcrArguments& arguments, const char* meaning) {
  command.add_option("--pcrs", arguments.pcrs, meaning)->type_name("LIST");
}

}  // namespace

void AddPcrCommands(CLI::App& policy_app, Shell& shell) {
  CLI::App* pcr = policy_app.add_subcommand("pcr", "The states of the boot in which a TPM opens");
  pcr->require_subcommand(1);
  pcr->footer(
      "A TPM releases the master key only while its PCRs are in a state that the authority has\n"
      "signed. After an update of firmware or boot loader it takes a new signature, no new key.\n\n"
      "Examples:\n"
      "  keyctl policy pcr show\n"
      "  keyctl policy pcr sign --key pcr-authority.pem --pcrs 0,2,7");
  const auto arguments = std::make_shared<PcrArguments>();
  CLI::App* show = pcr->add_subcommand("show", "Show the PCRs of now and the signed states");
  show->footer("Examples:\n  keyctl policy pcr show\n  keyctl policy pcr show --pcrs 0,2,4,7");
  AddPcrs(*show, *arguments, "PCRs to show besides those of the latest signed state");
  shell.Bind(
      *show, [] { return "show the PCR policies"; },
      [arguments](Shell& self) { return Show(self, *arguments); });
  CLI::App* sign = pcr->add_subcommand("sign", "Sign a state, and give it to keyd");
  sign->footer(
      "Without --values it is the state of now, in which keyd may be sealed for want of it.\n"
      "Asks first: whoever has a copy of the signature can use it for ever.\n\n"
      "Examples:\n"
      "  keyctl policy pcr sign --key pcr-authority.pem --pcrs 0,2,7\n"
      "  keyctl policy pcr sign --key pcr-authority.pem --values after-the-update.txt --yes");
  AddPcrs(*sign, *arguments, "PCRs that count; without it those of the latest signed state, or 7");
  sign->add_option("--key", arguments->key_file, "The authority's private key, PEM")
      ->type_name("FILE")
      ->required();
  sign->add_option("--values", arguments->values_file,
                   "Values to come, as tpm2_pcrread prints them, instead of those of now")
      ->type_name("FILE");
  shell.AddYes(*sign);
  shell.Bind(
      *sign, [] { return "sign a PCR policy"; },
      [arguments](Shell& self) { return Sign(self, *arguments); });
}

}  // namespace keyward::keyctl
