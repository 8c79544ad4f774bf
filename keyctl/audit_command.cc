#include <fmt/format.h>

#include <charconv>

#include "audit/verify.h"
#include "core/encoding.h"
#include "keyctl/audit_show.h"
#include "keyctl/audit_source.h"
#include "keyctl/file.h"
#include "keyctl/shell.h"

namespace keyward::keyctl {
namespace {

using audit::Report;

struct VerifyArguments {
  std::string file;
  std::vector<std::string> keys;
  std::string head;
};

// Each file has one key or more, such as every version of the one that signs.
Result<std::vector<PublicKey>> ReadKeys(const std::vector<std::string>& paths) {
  constexpr size_t kMostKeys = 1000;
  constexpr std::string_view kEnd = "-----END PUBLIC KEY-----";
  std::vector<PublicKey> keys;
  for (const std::string& path : paths) {
    KEYWARD_ASSIGN(const std::string text, ReadTextFile(path, kMaxPem * kMostKeys));
    size_t begin = 0;
    do {
      const size_t last = text.find(kEnd, begin);
      const size_t end = last == std::string::npos ? text.size() : last + kEnd.size();
      const Result<PublicKey> key = PublicKey::FromPem(text.substr(begin, end - begin));
      if (!key) return Fail(ErrorCode::kInvalidArgument, fmt::format("'{}' holds no key", path));
      keys.push_back(*key);
      begin = end;
    } while (text.find(kEnd, begin) != std::string::npos);
  }
  return keys;
}

// "SEQ:HASH"
Result<std::optional<audit::Head>> ParseHead(const std::string& text) {
  if (text.empty()) return std::nullopt;
  audit::Head head{};
  const char* const end = text.data() + text.size();
  const auto [colon, error] = std::from_chars(text.data(), end, head.seq);
  const bool split = error == std::errc() && colon != end && *colon == ':';
  const Result<Bytes> hash = FromHex(split ? std::string_view(colon + 1, end) : "");
  if (!hash || hash->size() != head.hash.size()) {
    return Fail(ErrorCode::kInvalidArgument,
                "a head is a record's number, ':' and its hash in hex");
  }
  std::ranges::copy(*hash, head.hash.begin());
  return head;
}

Json ReportJson(const Report& report) {
  Json problem;
  if (report.fault) {
    problem = {{"kind", audit::Name(report.fault->kind)},
               {"line", report.fault->line},
               {"seq", report.fault->seq},
               {"message", report.fault->what}};
  }
  return {{"valid", !report.fault},
          {"records", report.records},
          {"first", report.first_seq},
          {"last", report.last.seq},
          {"head", ToHex(report.last.hash)},
          {"checkpoints", report.checkpoints},
          {"verified", report.verified},
          {"signed_through", report.signed_through},
          {"problem", problem}};
}

std::string CountOf(uint64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

// What the signatures answer for.
std::string SignedPart(const Report& report, bool keys) {
  if (!keys) {
    return fmt::format("{}; {}", CountOf(report.checkpoints, "checkpoint"),
                       report.checkpoints == 0
                           ? "nothing is signed yet"
                           : "no key was given, so who wrote it was not checked");
  }
  std::string text = fmt::format("{} verified, which sign{} everything up to record {}",
                                 CountOf(report.verified, "checkpoint"),
                                 report.verified == 1 ? "s" : "", report.signed_through);
  if (report.signed_through < report.last.seq) {
    text += fmt::format("; nothing signs the {} after it",
                        CountOf(report.last.seq - report.signed_through, "record"));
  }
  return text;
}

void PrintReport(Shell& shell, const std::string& file, const Report& report, bool keys) {
  const std::string name = file.empty() || file == "-" ? "The log" : file;
  if (report.fault) {
    shell.err() << fmt::format("keyctl: {} is not valid: line {}: {}\n", name, report.fault->line,
                               report.fault->what);
    return;
  }
  shell.Say(fmt::format("{} is valid: {} ({} to {}); {}.\nIts head is {}:{}.", name,
                        CountOf(report.records, "record"), report.first_seq, report.last.seq,
                        SignedPart(report, keys), report.last.seq, ToHex(report.last.hash)));
}

Result<ExitCode> Verify(Shell& shell, const VerifyArguments& arguments) {
  KEYWARD_ASSIGN(std::vector<PublicKey> keys, ReadKeys(arguments.keys));
  KEYWARD_ASSIGN(const std::optional<audit::Head> head, ParseHead(arguments.head));
  if (arguments.file.empty() && keys.empty()) {
    KEYWARD_ASSIGN(keys, OwnAuditKeys(shell));
  }
  audit::Verifier verifier({.keys = keys, .head = head});
  KEYWARD_TRY(ReadLog(shell, arguments.file, [&](std::string_view chunk) {
    verifier.Push(chunk);
    shell.TellSoFar(fmt::format("{} records", verifier.lines()));
    return true;
  }));
  const Report report = verifier.Finish();
  if (shell.json()) {
    shell.PrintJson(ReportJson(report));
  } else {
    PrintReport(shell, arguments.file, report, !keys.empty());
  }
  return report.fault ? ExitCode::kFailure : ExitCode::kOk;
}

void AddVerify(CLI::App& audit_app, Shell& shell) {
  CLI::App* command = audit_app.add_subcommand(
      "verify", "Tell whether an audit log is as it was written; a file's needs no keyd");
  command->footer(
      "Exits with 1 when it is not, and names the first bad record. Records that were cut off at\n"
      "the end are missed only when --head tells what the log once held. Without a FILE it is\n"
      "keyd's own log, against the keys that keyd says it signs with unless --key names others.\n\n"
      "Examples:\n"
      "  keyctl audit verify\n"
      "  keyctl key show keyward-service --pem --all > audit-key.pem\n"
      "  keyctl audit verify audit.jsonl --key audit-key.pem\n"
      "  cat audit-*.jsonl | keyctl audit verify - --key audit-key.pem\n"
      "  keyctl audit verify audit.jsonl --json | jq .problem");
  const auto arguments = std::make_shared<VerifyArguments>();
  command->add_option("FILE", arguments->file,
                      "An exported log; '-' is the standard input, none is keyd's own log");
  command
      ->add_option("--key", arguments->keys,
                   "Public keys (PEM) that may have signed; give it again for more files")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command->add_option("--head", arguments->head, "A record that is known to be in the log")
      ->type_name("SEQ:HASH");
  shell.Bind(
      *command,
      [arguments] {
        return arguments->file.empty() ? std::string("verify the audit log")
                                       : fmt::format("verify '{}'", arguments->file);
      },
      [arguments](Shell& self) { return Verify(self, *arguments); });
}

struct ShowArguments {
  std::string file;
  AuditFilter::Words words;
};

Result<ExitCode> Show(Shell& shell, const ShowArguments& arguments) {
  KEYWARD_ASSIGN(const AuditFilter filter, AuditFilter::Parse(arguments.words));
  return ShowRecords(shell, arguments.file, filter);
}

void AddShow(CLI::App& audit_app, Shell& shell) {
  CLI::App* command =
      audit_app.add_subcommand("show", "Show records of an audit log; a file's needs no keyd");
  command->footer(
      "Shows what the file says: whether that is what was written, 'keyctl audit verify' tells.\n"
      "Times are UTC, as 2026-06-15 or 2026-06-15T15:06:40Z. --json prints the records' own "
      "lines.\n\n"
      "Examples:\n"
      "  keyctl audit show audit.jsonl --event key.revoke --event key.destroy\n"
      "  keyctl audit show audit.jsonl --module frontend --since 2026-06-15\n"
      "  keyctl audit show audit.jsonl --outcome PermissionDenied --json | jq .caller");
  const auto arguments = std::make_shared<ShowArguments>();
  AuditFilter::Words& words = arguments->words;
  command->add_option("FILE", arguments->file,
                      "An exported log; '-' is the standard input, none is keyd's own log");
  command->add_option("--event", words.events, "Only this event; give it again for more")
      ->allow_extra_args(false);
  command->add_option("--module", words.module, "Only those of this module");
  command->add_option("--object", words.object, "Only those about this key, session, peer ...");
  command->add_option("--since", words.since, "Only from this time on")->type_name("TIME");
  command->add_option("--until", words.until, "Only before this time")->type_name("TIME");
  command->add_option("--outcome", words.outcome, "Only those with this outcome: ok, or an error");
  shell.Bind(
      *command,
      [arguments] {
        return arguments->file.empty() ? std::string("show the audit log")
                                       : fmt::format("show '{}'", arguments->file);
      },
      [arguments](Shell& self) { return Show(self, *arguments); });
}

}  // namespace

void AddAuditCommands(CLI::App& app, Shell& shell) {
  CLI::App* audit_app = app.add_subcommand("audit", "Read, export and verify audit logs");
  audit_app->require_subcommand(1);
  audit_app->footer(
      "Examples:\n"
      "  keyctl audit tail --follow\n"
      "  keyctl audit show --event key.revoke\n"
      "  keyctl audit export --to audit.jsonl\n"
      "  keyctl audit verify audit.jsonl --key audit-key.pem");
  AddVerify(*audit_app, shell);
  AddShow(*audit_app, shell);
  AddAuditLogCommands(*audit_app, shell);
}

}  // namespace keyward::keyctl
