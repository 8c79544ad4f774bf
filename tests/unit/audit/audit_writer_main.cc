// Writes an audit log for tests in other languages. Usage: audit_writer FOLDER. Each line on the
// standard input is done and answered by one line:
//   event NAME            appends a key.sign of that object        -> "ok" or the error
//   message               what a checkpoint would sign             -> its hex, "" when there is
//   nothing checkpoint SPKI SIG   records a signature, both in hex         -> "ok" or the error
//   retain                removes what is old                      -> "ok" or the error
#include <fmt/core.h>

#include <iostream>
#include <sstream>
#include <string>

#include "audit/log.h"
#include "core/encoding.h"

namespace keyward::audit {
namespace {

std::string Answer(const Result<void>& result) {
  return result ? std::string("ok") : result.error().ToString();
}

Result<void> AppendEvent(Log& log, const std::string& name) {
  return log.Append(
      {.kind = EventKind::kKeySign,
       .caller = 1000,
       .module = SafeText("frontend"),
       .object = SafeText(name),
       .failed = name == "refused" ? std::optional(ErrorCode::kPermissionDenied) : std::nullopt,
       .detail = {{"version", uint64_t{1}}, {"purpose", SafeText("aico")}}});
}

Result<void> AddCheckpoint(Log& log, std::istream& arguments) {
  std::string spki_hex;
  std::string signature_hex;
  arguments >> spki_hex >> signature_hex;
  KEYWARD_ASSIGN(const Bytes spki, FromHex(spki_hex));
  KEYWARD_ASSIGN(const PublicKey key, PublicKey::FromSpki(spki));
  KEYWARD_ASSIGN(const Bytes signature, FromHex(signature_hex));
  return log.AddCheckpoint(signature, key);
}

Result<void> Retain(Log& log) {
  KEYWARD_TRY(log.Retain([] { return Result<void>(); }));
  return {};
}

std::string Do(Log& log, const std::string& line) {
  std::istringstream arguments(line);
  std::string word;
  arguments >> word;
  if (word == "message") return ToHex(log.CheckpointMessage().value_or(Bytes()));
  if (word == "checkpoint") return Answer(AddCheckpoint(log, arguments));
  if (word == "retain") return Answer(Retain(log));
  std::string name;
  std::getline(arguments >> std::ws, name);
  return Answer(AppendEvent(log, name));
}

int Run(const char* folder) {
  const SystemClock clock;
  SystemRng rng;
  const Log::Limits limits{.segment_bytes = 2000, .total_bytes = 6000};
  Result<Log> log =
      Log::Open(folder, clock, rng, {.limits = limits, .expected_head = {}, .signers = {}});
  if (!log) {
    fmt::print(stderr, "audit_writer: {}\n", log.error().ToString());
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) std::cout << Do(*log, line) << std::endl;
  return 0;
}

}  // namespace
}  // namespace keyward::audit

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return keyward::audit::Run(argv[1]);
}
