#include <fmt/format.h>
#include <fmt/ranges.h>

#include "keyctl/human.h"
#include "keyctl/quote_export.h"
#include "keyctl/shell.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

constexpr uint32_t kLongestWait = 86400;  // seconds
constexpr size_t kShownDigits = 16;       // of an id or digest, for people

struct StatusArguments {
  uint32_t wait_seconds = 0;
  std::optional<std::string> nonce;  // hex, or "boot"
  std::string directory;
};

Json BootJson(const BootSummary& boot) {
  return {{"state", boot.state},
          {"detail", boot.detail},
          {"id", boot.id},
          {"quote", boot.quote},
          {"quoted", boot.quote.empty() ? Json() : Json(Timestamp(boot.quoted))},
          {"pcrs", boot.pcrs}};
}

Json AuditJson(const AuditSummary& audit) {
  return {{"state", audit.state},
          {"last", audit.last},
          {"signed_through", audit.signed_through},
          {"unrecorded", audit.unrecorded}};
}

void PrintAudit(Shell& shell, const AuditSummary& audit) {
  shell.out() << fmt::format("\nAudit log {}: {} records, signed up to {}",
                             Paint(audit.state, ToneOfState(audit.state), shell.color()),
                             audit.last, audit.signed_through);
  if (audit.state == "full") {
    shell.out() << "; make room on the disk of the state directory: until then, what has to be "
                   "recorded first is refused";
  }
  if (audit.unrecorded > 0) {
    shell.out() << fmt::format("; {} events could not be recorded", audit.unrecorded);
  }
  shell.out() << '\n';
}

Json StatusJson(const ServiceStatus& status) {
  Json custodians = Json::array();
  for (const CustodianSummary& custodian : status.custodians) {
    custodians.push_back({{"name", custodian.name},
                          {"description", custodian.description},
                          {"state", custodian.state},
                          {"detail", custodian.detail},
                          {"since", Timestamp(custodian.since)},
                          {"resets", custodian.resets}});
  }
  return {{"version", status.version},
          {"health", status.health},
          {"seal", {{"code", status.seal_code}, {"reason", status.seal_reason}}},
          {"uptime_seconds", status.uptime.count()},
          {"sessions", status.sessions},
          {"secret_memory", status.secret_memory},
          {"custodians", custodians},
          {"audit", AuditJson(status.audit)},
          {"boot", BootJson(status.boot)},
          {"store", {{"epoch", status.epoch}, {"confirmed", status.epoch_confirmed}}}};
}

void PrintBoot(Shell& shell, const BootSummary& boot) {
  shell.out() << fmt::format("\nBoot {}: {}", boot.id.substr(0, kShownDigits),
                             Paint(boot.state, ToneOfState(boot.state), shell.color()));
  if (!boot.quote.empty()) {
    shell.out() << fmt::format(" at {} over PCRs {}, quote {}", Timestamp(boot.quoted),
                               fmt::join(boot.pcrs, ","), boot.quote.substr(0, kShownDigits));
  }
  if (!boot.detail.empty()) shell.out() << fmt::format(" ({})", Printable(boot.detail));
  shell.out() << '\n';
}

void PrintStatus(Shell& shell, const ServiceStatus& status) {
  shell.out() << fmt::format(
      "keyd {}: {}, up {}, {} live session{}, secrets in {}\n\n", status.version,
      Paint(status.health, ToneOfState(status.health), shell.color()), HumanDuration(status.uptime),
      status.sessions, status.sessions == 1 ? "" : "s", status.secret_memory);
  if (!status.seal_reason.empty()) {
    shell.out() << "Sealed: " << Printable(status.seal_reason) << ".\n\n";
  }
  Table table({"CUSTODIAN", "STATE", "SINCE", "RESETS", "WHAT IT IS", "DETAIL"});
  for (const CustodianSummary& custodian : status.custodians) {
    table.Add({custodian.name,
               {custodian.state, ToneOfState(custodian.state)},
               Timestamp(custodian.since),
               std::to_string(custodian.resets),
               custodian.description,
               custodian.detail});
  }
  table.Print(shell.out(), shell.color());
  if (!status.audit.state.empty()) PrintAudit(shell, status.audit);
  PrintBoot(shell, status.boot);
}

// What is asked for beyond the status.
Result<std::optional<Quote>> AskForQuote(AdminClient& admin, const StatusArguments& wanted) {
  if (!wanted.nonce) return std::nullopt;
  KEYWARD_ASSIGN(const Bytes nonce, ParseNonce(*wanted.nonce));
  KEYWARD_ASSIGN(Quote quote, admin.Attest(nonce));
  if (!wanted.directory.empty()) KEYWARD_TRY(WriteQuote(wanted.directory, quote));
  return quote;
}

void TellHowToCheck(Shell& shell, const StatusArguments& wanted, const std::string& boot_id) {
  const bool of_boot = wanted.nonce == "boot";
  shell.Say(fmt::format(
      "\nThe quote is in {0}. To check it, with the attestation key of this TPM as you know it:\n"
      "  tpm2_checkquote -u ak.pem -m quote.msg -s quote.sig -f quote.pcrs -g sha256 -q {1}",
      wanted.directory, of_boot ? boot_id : *wanted.nonce));
}

Result<void> CheckArguments(Shell& shell, const StatusArguments& wanted) {
  if (!wanted.nonce) return {};
  KEYWARD_TRY(ParseNonce(*wanted.nonce));
  if (!wanted.directory.empty() || shell.json()) return {};
  return Fail(ErrorCode::kInvalidArgument, "say with --out where the quote goes, or give --json");
}

Result<ExitCode> ShowStatus(Shell& shell, const StatusArguments& wanted) {
  KEYWARD_TRY(CheckArguments(shell, wanted));
  if (wanted.wait_seconds > 0) {
    KEYWARD_TRY(shell.environment().wait_for_keyd(std::chrono::seconds(wanted.wait_seconds)));
  }
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_ASSIGN(const ServiceStatus status, admin->Status());
  KEYWARD_ASSIGN(const std::optional<Quote> quote, AskForQuote(*admin, wanted));
  if (shell.json()) {
    Json json = StatusJson(status);
    if (quote) json["attestation"] = QuoteJson(*quote);
    shell.PrintJson(json);
  } else {
    PrintStatus(shell, status);
    if (quote) TellHowToCheck(shell, wanted, status.boot.id);
  }
  if (status.health == "sealed") return ExitCode::kSealed;
  return status.health == "ok" ? ExitCode::kOk : ExitCode::kHardware;
}

}  // namespace

void AddStatusCommand(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand("status", "Tell whether keyd and its hardware serve");
  command->footer(
      "Exits with 7 when the service is degraded, with 10 when it is sealed. RESETS counts how "
      "often\n"
      "the hardware was started anew, or was away and came back, since keyd's start.\n\n"
      "With --attest, has the TPM quote its PCRs for somebody who wants to know the state of this\n"
      "machine: NONCE is hex that they chose, or 'boot' for the quote of keyd's start, whose "
      "nonce\n"
      "is the boot's id. The files in DIR are those that tpm2_checkquote reads.\n\n"
      "Examples:\n"
      "  keyctl status\n"
      "  keyctl status --wait 30        after a start, until keyd serves\n"
      "  keyctl status --json | jq -r .health\n"
      "  keyctl status --attest 5d1fa88c03b2d6e1 --out quote");
  const auto wanted = std::make_shared<StatusArguments>();
  command->add_option("--wait", wanted->wait_seconds, "Wait so many seconds for keyd to come up")
      ->type_name("SECONDS")
      ->check(CLI::Range(uint32_t{0}, kLongestWait));
  command->add_option("--attest", wanted->nonce, "Have the TPM quote its PCRs for this nonce (hex)")
      ->type_name("NONCE");
  command->add_option("--out", wanted->directory, "With --attest: where the files go")
      ->type_name("DIR")
      ->needs("--attest");
  shell.Bind(
      *command, [] { return "tell the status of keyd"; },
      [wanted](Shell& self) { return ShowStatus(self, *wanted); });
}

}  // namespace keyward::keyctl
