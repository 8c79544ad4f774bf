#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "keyctl/audit_source.h"
#include "keyctl/file.h"
#include "keyctl/shell.h"

namespace keyward::keyctl {
namespace {

// keyctl audit tail

constexpr uint64_t kMostRecords = 1'000'000'000;

struct TailArguments {
  uint64_t count = 10;  // at most kMostRecords
  bool follow = false;
};

Result<void> PrintLast(Shell& shell, RecordPrinter& printer, uint64_t from) {
  if (from == 0) return {};
  return ReadOwnLog(shell, from, [&](std::string_view chunk) { return printer.Push(chunk); });
}

// Returns when keyd ends the stream.
Result<void> PrintStream(Shell& shell, RecordPrinter& printer, const AuditFollowing& following) {
  std::array<char, 65536> buffer{};
  while (true) {
    shell.out().flush();
    const ssize_t got = read(following.lines.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(ErrorCode::kIo, "keyd's audit log cannot be read");
    if (got == 0 || !printer.Push({buffer.data(), static_cast<size_t>(got)})) break;
  }
  KEYWARD_TRY(printer.Finish());
  return Fail(ErrorCode::kSessionClosed,
              "the audit log was closed: keyd has stopped or was sealed, or this fell behind");
}

Result<ExitCode> Tail(Shell& shell, const TailArguments& arguments) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  std::optional<AuditFollowing> following;
  uint64_t last = 0;
  if (arguments.follow) {
    KEYWARD_ASSIGN(following, admin->FollowAudit());
    last = following->first - 1;
  } else {
    KEYWARD_ASSIGN(const ServiceStatus status, admin->Status());
    last = status.audit.last;
  }
  const uint64_t from = last >= arguments.count ? last - arguments.count + 1 : 1;
  bool streaming = false;
  RecordPrinter printer(shell, [&](const audit::Record& record) {
    return streaming || (record.seq >= from && record.seq <= last);
  });
  if (arguments.count > 0) KEYWARD_TRY(PrintLast(shell, printer, from));
  KEYWARD_TRY(printer.Finish());
  streaming = true;
  if (following) KEYWARD_TRY(PrintStream(shell, printer, *following));
  return ExitCode::kOk;
}

void AddTail(CLI::App& audit_app, Shell& shell) {
  CLI::App* command = audit_app.add_subcommand("tail", "Show the latest records of keyd's log");
  command->footer(
      "For admins; that the log is read is itself recorded. --json prints the records' own lines.\n"
      "With --follow it ends, with 1, when keyd is sealed or stops.\n\n"
      "Examples:\n"
      "  keyctl audit tail\n"
      "  keyctl audit tail -n 100 --json | jq -r .event\n"
      "  keyctl audit tail -n 0 --follow");
  const auto arguments = std::make_shared<TailArguments>();
  command->add_option("-n,--lines", arguments->count, "How many of the records that are there")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{0}, kMostRecords));
  command->add_flag("-f,--follow", arguments->follow, "Go on with each record that is written");
  shell.Bind(
      *command, [] { return "show the audit log"; },
      [arguments](Shell& self) { return Tail(self, *arguments); });
}

// keyctl audit export

struct ExportArguments {
  std::string to;
  bool unsigned_end = false;
};

constexpr bool kReplace = false;

Result<void> ExportTo(Shell& shell, const std::string& path) {
  KEYWARD_ASSIGN(OutputFile file, OutputFile::Create(path, kReplace));
  Result<void> written;
  KEYWARD_TRY(ReadLog(shell, "", [&](std::string_view chunk) {
    written = file.Write(AsBytes(chunk));
    return written.has_value();
  }));
  KEYWARD_TRY(written);
  return file.Finish();
}

Result<ExitCode> Export(Shell& shell, const ExportArguments& arguments) {
  if (!arguments.to.empty()) KEYWARD_TRY(CheckOutput(arguments.to, kReplace));
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  if (!arguments.unsigned_end) KEYWARD_TRY(admin->SignAudit());
  if (arguments.to.empty()) {
    KEYWARD_TRY(ReadLog(shell, "", [&](std::string_view chunk) {
      shell.out() << chunk;
      return shell.out().good();
    }));
    return ExitCode::kOk;
  }
  KEYWARD_TRY(ExportTo(shell, arguments.to));
  if (shell.json()) {
    shell.PrintJson({{"file", arguments.to}});
  } else {
    shell.Say(fmt::format("The audit log is in {}.", arguments.to));
  }
  return ExitCode::kOk;
}

void AddExport(CLI::App& audit_app, Shell& shell) {
  CLI::App* command = audit_app.add_subcommand("export", "Write all of keyd's log to a file");
  command->footer(
      "For admins; that the log is exported is itself recorded. Before that, keyd has its "
      "hardware\n"
      "sign what there is. 'keyctl audit verify' checks the file, anywhere.\n\n"
      "Examples:\n"
      "  keyctl audit export --to audit.jsonl\n"
      "  keyctl audit export | ssh archive 'cat > audit-$(date +%F).jsonl'\n"
      "  keyctl key show keyward-service --pem > audit-key.pem    the key to verify it with");
  const auto arguments = std::make_shared<ExportArguments>();
  command->add_option("--to", arguments->to, "A file that is not there yet; else standard output")
      ->type_name("FILE");
  command->add_flag("--unsigned", arguments->unsigned_end,
                    "Sign nothing now, as when the hardware is away");
  shell.Bind(
      *command, [] { return "export the audit log"; },
      [arguments](Shell& self) { return Export(self, *arguments); });
}

// keyctl audit sign

Result<ExitCode> Sign(Shell& shell) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  KEYWARD_TRY(admin->SignAudit());
  KEYWARD_ASSIGN(const ServiceStatus status, admin->Status());
  if (shell.json()) {
    shell.PrintJson({{"last", status.audit.last}, {"signed_through", status.audit.signed_through}});
  } else {
    shell.Say(fmt::format("The audit log is signed up to record {}.", status.audit.signed_through));
  }
  return ExitCode::kOk;
}

void AddSign(CLI::App& audit_app, Shell& shell) {
  CLI::App* command =
      audit_app.add_subcommand("sign", "Have the hardware sign keyd's log as it is now");
  command->footer(
      "keyd does so by itself; see 'audit' in security.yaml.\n\n"
      "Examples:\n  keyctl audit sign");
  shell.Bind(*command, [] { return "have the audit log signed"; }, Sign);
}

// keyctl audit restart

Result<ExitCode> Restart(Shell& shell, const std::string& state) {
  if (!shell.Confirm("About to go on without the audit log that keyd refuses: it is kept beside, "
                     "and the next one tells that records may be lost. Go on?")) {
    return ExitCode::kNotConfirmed;
  }
  KEYWARD_ASSIGN(std::string former,
                 shell.RunKeyd({{"--state", state, "--restart-audit"}, state, {}}));
  former.erase(std::min(former.find('\n'), former.size()));  // keyd prints a line
  if (shell.json()) {
    shell.PrintJson({{"restarted", true},
                     {"state", state},
                     {"former", former.empty() ? Json() : Json(former)}});
  } else {
    shell.Say("The next start of keyd begins another audit log.");
    shell.Say(former.empty() ? "There is no former one." : "The former one is " + former + ".");
  }
  return ExitCode::kOk;
}

void AddRestart(CLI::App& audit_app, Shell& shell) {
  CLI::App* command = audit_app.add_subcommand(
      "restart", "Go on without an audit log that lacks records, and begin another");
  command->footer(
      "For when keyd refuses to start because records of the log are missing or altered, and\n"
      "there is no way to put them back. keyd must not be running. Run it as root or as keyd's\n"
      "user. The new log names the last record that was known of the former one.\n\n"
      "Examples:\n"
      "  keyctl audit restart\n"
      "  keyctl audit restart --state /var/lib/keyward --yes");
  const auto state = std::make_shared<std::string>("/var/lib/keyward");
  command->add_option("--state", *state, "keyd's state directory")
      ->type_name("DIR")
      ->capture_default_str();
  shell.AddYes(*command);
  shell.Bind(
      *command, [] { return "restart the audit log"; },
      [state](Shell& self) { return Restart(self, *state); });
}

}  // namespace

void AddAuditLogCommands(CLI::App& audit_app, Shell& shell) {
  AddTail(audit_app, shell);
  AddExport(audit_app, shell);
  AddSign(audit_app, shell);
  AddRestart(audit_app, shell);
}

}  // namespace keyward::keyctl
