#include "keyctl/shell.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

std::string SeeHelpOf(const CLI::App& command) {
  std::string words;
  for (const CLI::App* at = &command; at != nullptr; at = at->get_parent()) {
    words.insert(0, at->get_name() + " ");
  }
  return fmt::format("see '{}--help'", words);
}

std::string SeeListFor(const CLI::App& command) {
  const std::string group = command.get_parent()->get_name();
  if (group == "sessions") return "see 'keyctl sessions list'";
  if (group == "module") return "see 'keyctl module list' and 'keyctl key list'";
  return "see 'keyctl key list'";
}

// Where a backup makes another one than elsewhere.
std::optional<std::string> BackupRemedy(ErrorCode code) {
  switch (code) {
    case ErrorCode::kAuthenticationFailed:
    case ErrorCode::kDataCorrupt:
    case ErrorCode::kMalformed:
      return "use the right file and key, or another copy";
    case ErrorCode::kExpired:
      return "make another certificate";
    case ErrorCode::kAlreadyExists:
      return "choose another place";
    default:
      return std::nullopt;
  }
}

std::optional<std::string> SecondSealRemedy(ErrorCode code) {
  switch (code) {
    case ErrorCode::kAuthenticationFailed:
    case ErrorCode::kDataCorrupt:
    case ErrorCode::kNotFound:
      return "use the key and the files that belong together, or restore a backup";
    case ErrorCode::kExpired:
      return "make another certificate";
    case ErrorCode::kAlreadyExists:
      return "see 'keyctl master show'; a reseal needs keyd to be stopped";
    default:
      return std::nullopt;
  }
}

std::optional<std::string> RemedyIn(const std::string& group, ErrorCode code) {
  if (group == "backup") return BackupRemedy(code);
  if (group == "master") return SecondSealRemedy(code);
  return std::nullopt;
}

// What to do about `error` of `command`, for one who administers keyd.
std::string Remedy(const Error& error, const CLI::App& command) {
  const std::optional<std::string> special =
      RemedyIn(command.get_parent()->get_name(), error.code());
  if (special) return *special;
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
      return SeeHelpOf(command);
    case ErrorCode::kUnreachable:
      return "start keyd, or see in its log why it ended; if its bus is not the system's, set "
             "DBUS_SYSTEM_BUS_ADDRESS";
    case ErrorCode::kPermissionDenied:
      return "run keyctl as root or as one of the admins that security.yaml names";
    case ErrorCode::kConfiguration:
      return "mend the file and test it with 'keyctl policy check FILE'";
    case ErrorCode::kAlreadyExists:
      return "choose another name";
    case ErrorCode::kNotFound:
      return SeeListFor(command);
    case ErrorCode::kInternal:
    case ErrorCode::kDataCorrupt:
      return "see keyd's log";
    default:
      return std::string(keyward::Describe(error.action()));
  }
}

}  // namespace

void Shell::AddJson(CLI::App& command) {
  command.add_flag("--json", json_, "Print JSON, errors too, for scripts");
}

void Shell::AddYes(CLI::App& command) {
  command.add_flag("-y,--yes", yes_, "Do it without asking");
}

void Shell::Bind(CLI::App& command, Describe describe, Run run) {
  AddJson(command);
  command.callback([this, &command, describe = std::move(describe), run = std::move(run)] {
    chosen_ = &command;
    describe_ = describe;
    run_ = run;
  });
}

ExitCode Shell::RunChosen() {
  if (!json_) {
    note_.emplace(environment_.err, environment_.clock,
                  ProgressNote::Options{.doing = describe_(),
                                        .columns = environment_.err_columns,
                                        .patience = environment_.patience});
    note_->Resume();
  }
  const Result<ExitCode> done = run_(*this);
  note_.reset();
  if (done) return *done;
  const Error& error = done.error();
  return Report(
      {"cannot " + describe_(), error, Remedy(error, *chosen_), ExitCodeFor(error.code())});
}

ExitCode Shell::RefuseUsage(const CLI::App& command, const std::string& why) {
  return Report({"the command line is wrong", Error(ErrorCode::kInvalidArgument, why),
                 SeeHelpOf(command), ExitCode::kUsage});
}

Result<AdminClient*> Shell::Admin() {
  BeginWait();
  if (!admin_) {
    KEYWARD_ASSIGN(admin_, environment_.connect());
  }
  return admin_.get();
}

Result<std::string> Shell::RunKeyd(const KeydCall& call) {
  BeginWait();
  return environment_.run_keyd(call);
}

Result<SecretBytes> Shell::AskSecret(const std::string& question) {
  EndWait();
  Result<SecretBytes> secret = environment_.ask_secret(question);
  BeginWait();
  return secret;
}

void Shell::BeginWait() {
  if (note_) note_->Resume();
}

void Shell::EndWait() {
  if (note_) note_->Pause();
}

void Shell::TellSoFar(std::string what) {
  if (note_) note_->SoFar(std::move(what));
}

std::ostream& Shell::out() {
  EndWait();
  return environment_.out;
}

std::ostream& Shell::err() {
  EndWait();
  return environment_.err;
}

bool Shell::Confirm(const std::string& question) {
  if (yes_) return true;
  if (!environment_.in_is_terminal || json_) {
    const Error error(ErrorCode::kInvalidArgument,
                      "this has to be confirmed, and nobody can be asked");
    Report({"not confirmed", error, "give --yes to do it", ExitCode::kNotConfirmed});
    return false;
  }
  err() << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(environment_.in, answer);
  std::ranges::transform(answer, answer.begin(), [](unsigned char c) { return std::tolower(c); });
  if (answer == "y" || answer == "yes") {
    BeginWait();
    return true;
  }
  err() << "Nothing was done.\n";
  return false;
}

void Shell::PrintJson(const Json& value) {
  out() << value.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

void Shell::Say(const std::string& sentence) {
  if (!json_) out() << sentence << '\n';
}

ExitCode Shell::Report(const Failure& failure) {
  const auto& [what, error, remedy, code] = failure;
  if (!json_) {
    err() << fmt::format("keyctl: {}: {} — {}\n", what, Printable(error.message()), remedy);
    return code;
  }
  const Json body = {{"error",
                      {{"what", what},
                       {"code", Name(error.code())},
                       {"message", error.message()},
                       {"remedy", remedy},
                       {"retry_after_ms", error.retry_after_ms()},
                       {"exit_code", static_cast<int>(code)}}}};
  err() << body.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  return code;
}

std::string SessionsEnded(uint32_t count) {
  return count == 1 ? "1 session ended" : fmt::format("{} sessions ended", count);
}

}  // namespace keyward::keyctl
