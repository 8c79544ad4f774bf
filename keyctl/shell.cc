#include "keyctl/shell.h"

#include <fmt/format.h>

#include <string_view>

#include "keyctl/table.h"

namespace keyward::keyctl {

void Shell::AddJson(CLI::App& command) {
  command.add_flag("--json", json_, "Print JSON, errors too, for scripts");
}

void Shell::AddYes(CLI::App& command) {
  command.add_flag("-y,--yes", yes_, "Do it without asking");
}

void Shell::Bind(CLI::App& command, Describe describe, Run run) {
  AddJson(command);
  command.callback([this, describe = std::move(describe), run = std::move(run)] {
    describe_ = describe;
    run_ = run;
  });
}

ExitCode Shell::RunChosen() {
  const Result<ExitCode> done = run_(*this);
  if (done) return *done;
  const ExitCode code = ExitCodeFor(done.error().code());
  Report("cannot " + describe_(), done.error(), code);
  return code;
}

Result<AdminClient*> Shell::Admin() {
  if (!admin_) {
    KEYWARD_ASSIGN(admin_, environment_.connect());
  }
  return admin_.get();
}

bool Shell::Confirm(const std::string& question) {
  if (yes_) return true;
  if (!environment_.in_is_terminal || json_) {
    const Error error(ErrorCode::kInvalidArgument,
                      "this cannot be undone, and nobody can be asked");
    Report("not confirmed", error, ExitCode::kNotConfirmed);
    return false;
  }
  err() << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(environment_.in, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return true;
  err() << "Nothing was done.\n";
  return false;
}

void Shell::PrintJson(const Json& value) {
  out() << value.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

void Shell::Say(const std::string& sentence) {
  if (!json_) out() << sentence << '\n';
}

void Shell::Report(const std::string& what, const Error& error, ExitCode code) {
  const std::string remedy =
      code == ExitCode::kNotConfirmed ? "give --yes to do it" : Remedy(error);
  if (!json_) {
    err() << fmt::format("keyctl: {}: {} — {}\n", what, Printable(error.message()), remedy);
    return;
  }
  const Json body = {{"error",
                      {{"what", what},
                       {"code", Name(error.code())},
                       {"message", error.message()},
                       {"remedy", remedy},
                       {"retry_after_ms", error.retry_after_ms()},
                       {"exit_code", static_cast<int>(code)}}}};
  err() << body.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

std::string Remedy(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
      return "see the command's --help";
    case ErrorCode::kUnreachable:
      return "start keyd, or see in its log why it ended";
    case ErrorCode::kPermissionDenied:
      return "run keyctl as root or as one of the admins that security.yaml names";
    case ErrorCode::kConfiguration:
      return "mend the file and test it with 'keyctl policy check FILE'";
    case ErrorCode::kAlreadyExists:
      return "choose another name";
    case ErrorCode::kNotFound:
      return "see 'keyctl key list', 'keyctl module list' and 'keyctl sessions list'";
    case ErrorCode::kInternal:
    case ErrorCode::kDataCorrupt:
      return "see keyd's log";
    default:
      return std::string(Describe(error.action()));
  }
}

std::string SessionsEnded(uint32_t count) {
  return count == 1 ? "1 session ended" : fmt::format("{} sessions ended", count);
}

}  // namespace keyward::keyctl
