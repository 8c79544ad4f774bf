#include <fmt/format.h>

#include <limits>

#include "core/encoding.h"
#include "keyctl/fingerprint.h"
#include "keyctl/human.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"
#include "keyctl/version_number.h"

namespace keyward::keyctl {
namespace {

constexpr size_t kShownDigits = 16;  // of a fingerprint, in a table; --json has all

std::string Pem(const Bytes& spki) {
  const Result<PublicKey> key = PublicKey::FromSpki(spki);
  return key ? key->ToPem() : std::string();
}

Json SummaryJson(const KeySummary& key) {
  return {{"name", key.name},           {"algorithm", key.algorithm}, {"custody", key.custody},
          {"custodian", key.custodian}, {"state", key.state},         {"versions", key.versions}};
}

Json VersionJson(const VersionSummary& version) {
  const auto time = [](const std::optional<WallTime>& when) {
    return when ? Json(Timestamp(*when)) : Json();
  };
  return {{"version", version.number},
          {"state", version.state},
          {"created", Timestamp(version.created)},
          {"activated", time(version.activated)},
          {"retire_at", time(version.retire_at)},
          {"signatures", version.uses},
          {"fingerprint", FingerprintOf(version.spki)},
          {"public_key", Pem(version.spki)}};
}

Json DetailsJson(const KeyDetails& key) {
  Json versions = Json::array();
  for (const VersionSummary& version : key.versions) versions.push_back(VersionJson(version));
  return {{"name", key.name},           {"algorithm", key.algorithm},  {"custody", key.custody},
          {"custodian", key.custodian}, {"public_key", Pem(key.spki)}, {"versions", versions}};
}

Result<ExitCode> ListKeys(Shell& shell) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const std::vector<KeySummary> keys, admin->ListKeys());
  if (shell.json()) {
    Json rows = Json::array();
    for (const KeySummary& key : keys) rows.push_back(SummaryJson(key));
    shell.PrintJson(rows);
    return ExitCode::kOk;
  }
  if (keys.empty()) {
    shell.Say("There are no keys that you may use. An admin makes one with 'keyctl key generate'.");
    return ExitCode::kOk;
  }
  Table table({"NAME", "ALGORITHM", "CUSTODY", "CUSTODIAN", "STATE", "VERSIONS"});
  for (const KeySummary& key : keys) {
    table.Add({key.name, key.algorithm, key.custody, key.custodian.empty() ? "-" : key.custodian,
               Cell(key.state, ToneOfState(key.state)), std::to_string(key.versions)});
  }
  table.Print(shell.out(), shell.color());
  return ExitCode::kOk;
}

// "sealed in tpm"; a derived key is nowhere.
std::string Place(const std::string& custody, const std::string& custodian) {
  return custodian.empty() ? custody + " from the master key"
                           : fmt::format("{} in {}", custody, custodian);
}

void PrintDetails(Shell& shell, const KeyDetails& key) {
  shell.Say(fmt::format("{}: {}, {}\n", Printable(key.name), key.algorithm,
                        Place(key.custody, key.custodian)));
  Table table({"VERSION", "STATE", "CREATED", "RETIRES", "SIGNATURES", "KEY (SHA-256)"});
  for (const VersionSummary& version : key.versions) {
    table.Add({std::to_string(version.number), Cell(version.state, ToneOfState(version.state)),
               Timestamp(version.created), version.retire_at ? Timestamp(*version.retire_at) : "",
               std::to_string(version.uses), FingerprintOf(version.spki).substr(0, kShownDigits)});
  }
  table.Print(shell.out(), shell.color());
}

struct ShowArguments {
  std::string name;
  bool pem = false;
  bool all = false;
  uint32_t version = 0;  // 0: the active one
};

Result<std::string> PemOf(const KeyDetails& key, uint32_t number) {
  Bytes spki = number == 0 ? key.spki : Bytes();
  for (const VersionSummary& version : key.versions) {
    if (number != 0 && version.number == number) spki = version.spki;
  }
  if (spki.empty()) {
    return Fail(ErrorCode::kNotFound,
                number == 0 ? "the key has no active version; 'keyctl key rotate' makes one"
                            : "the key has no such version");
  }
  return Pem(spki);
}

// For who verifies what any of them has signed.
Result<std::string> PemOfAll(const KeyDetails& key) {
  std::string all;
  for (const VersionSummary& version : key.versions) {
    KEYWARD_ASSIGN(const std::string pem, PemOf(key, version.number));
    all += pem;
  }
  return all;
}

Result<ExitCode> ShowKey(Shell& shell, const ShowArguments& which) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const KeyDetails key, admin->DescribeKey(which.name));
  if (which.pem || which.version != 0) {
    KEYWARD_ASSIGN(const std::string pem, which.all ? PemOfAll(key) : PemOf(key, which.version));
    if (shell.json()) {
      shell.PrintJson({{"name", key.name}, {"public_key", pem}});
    } else {
      shell.out() << pem;
    }
  } else if (shell.json()) {
    shell.PrintJson(DetailsJson(key));
  } else {
    PrintDetails(shell, key);
  }
  return ExitCode::kOk;
}

// The only one that keyd has, where the command line names none.
Result<std::string> ChooseCustodian(AdminClient& admin) {
  KEYWARD_ASSIGN(const ServiceStatus status, admin.Status());
  if (status.custodians.size() == 1) return status.custodians.front().name;
  std::string names;
  for (const CustodianSummary& custodian : status.custodians) {
    names += (names.empty() ? "" : " or ") + custodian.name;
  }
  return Fail(ErrorCode::kInvalidArgument,
              "keyd has more than one custodian; choose with --custodian " + names);
}

Result<ExitCode> GenerateKey(Shell& shell, KeyRequest request) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  if (request.custodian.empty() && request.custody != Name(Custody::kDerived)) {
    KEYWARD_ASSIGN(request.custodian, ChooseCustodian(*admin));
  }
  KEYWARD_ASSIGN(const PublicKey key, admin->GenerateKey(request));
  const std::string fingerprint = ToHex(key.Fingerprint());
  if (shell.json()) {
    shell.PrintJson({{"name", request.name},
                     {"algorithm", request.algorithm},
                     {"custody", request.custody},
                     {"custodian", request.custodian},
                     {"version", 1},
                     {"fingerprint", fingerprint},
                     {"public_key", key.ToPem()}});
  } else {
    shell.Say(fmt::format("Made {}: {}, {}, fingerprint {}.", request.name, request.algorithm,
                          Place(request.custody, request.custodian), fingerprint));
  }
  return ExitCode::kOk;
}

void AddList(CLI::App& keys, Shell& shell) {
  CLI::App* command = keys.add_subcommand("list", "Show all keys");
  command->footer("Examples:\n  keyctl key list\n  keyctl key list --json | jq -r '.[].name'");
  shell.Bind(*command, [] { return "list the keys"; }, ListKeys);
}

void AddShow(CLI::App& keys, Shell& shell) {
  CLI::App* command = keys.add_subcommand("show", "Show a key's versions, or its public half");
  command->footer(
      "Examples:\n"
      "  keyctl key show frontend\n"
      "  keyctl key show frontend --pem > frontend.pem\n"
      "  keyctl key show frontend --version 1    as PEM, of an older version");
  const auto which = std::make_shared<ShowArguments>();
  command->add_option("NAME", which->name, "The key")->required();
  CLI::Option* pem = command->add_flag("--pem", which->pem, "Print the active public key as PEM");
  command->add_flag("--all", which->all, "With --pem: of every version, one after the other")
      ->needs(pem);
  command->add_option("--version", which->version, "Print this version's public key as PEM")
      ->check(VersionNumber());
  shell.Bind(
      *command, [which] { return fmt::format("show key '{}'", which->name); },
      [which](Shell& self) { return ShowKey(self, *which); });
}

void AddGenerate(CLI::App& keys, Shell& shell) {
  CLI::App* command =
      keys.add_subcommand("generate", "Make a key in the HSM or TPM, or of the master key");
  command->footer(
      "Custody 'hardware' makes the key inside the HSM or TPM, which never lets it out; 'sealed'\n"
      "keeps it wrapped by it, for what a chip cannot do itself, such as Ed25519 on a TPM; "
      "'derived'\n"
      "makes it of the master key, with no custodian: Ed25519 for a module's transport, which "
      "opens\n"
      "without asking any hardware.\n\n"
      "Examples:\n"
      "  keyctl key generate frontend --custodian hsm\n"
      "  keyctl key generate backend --custody sealed --custodian tpm\n"
      "  keyctl key generate telemetry --custody derived\n"
      "  keyctl key generate web-tls --algorithm ecdsa-p256 --custodian tpm");
  const auto request = std::make_shared<KeyRequest>(
      KeyRequest{.name = {}, .algorithm = "ed25519", .custody = "hardware", .custodian = {}});
  command->add_option("NAME", request->name, "The new key's name")->required();
  command->add_option("--algorithm", request->algorithm, "What it signs with")
      ->check(CLI::IsMember({"ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-pss-2048"}))
      ->capture_default_str();
  command->add_option("--custody", request->custody, "Where its private half may be")
      ->check(CLI::IsMember({"hardware", "sealed", "derived"}))
      ->capture_default_str();
  command
      ->add_option("--custodian", request->custodian,
                   "What keeps it; may be left out where keyd has only one, and is for 'derived'")
      ->check(CLI::IsMember({"hsm", "tpm"}));
  shell.Bind(
      *command, [request] { return fmt::format("generate key '{}'", request->name); },
      [request](Shell& self) { return GenerateKey(self, *request); });
}

}  // namespace

void AddKeyCommands(CLI::App& app, Shell& shell) {
  CLI::App* keys = app.add_subcommand("key", "Make, show, rotate, revoke and destroy keys");
  keys->require_subcommand(1);
  keys->footer(
      "Examples:\n"
      "  keyctl key generate frontend --custodian hsm\n"
      "  keyctl key list\n"
      "  keyctl key show frontend --pem");
  AddList(*keys, shell);
  AddShow(*keys, shell);
  AddGenerate(*keys, shell);
  AddKeyLifecycleCommands(*keys, shell);
  AddRevocationsCommand(*keys, shell);
}

}  // namespace keyward::keyctl
