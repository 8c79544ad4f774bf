// Where the records come from: an exported file, or keyd's own log.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "audit/line_splitter.h"
#include "audit/record.h"
#include "keyctl/audit_show.h"
#include "keyctl/shell.h"

namespace keyward::keyctl {

using TakeChunk = std::function<bool(std::string_view)>;

// Hands over keyd's own log as it is now, chunk by chunk, from the file on that has `record`, until
// `take` does not want more. Errors: those of AdminClient::ReadAudit, kIo, kNotFound (old records
// were removed meanwhile).
Result<void> ReadOwnLog(Shell& shell, uint64_t record, const TakeChunk& take);

// The log in the file at `path` ("-": the standard input), or for "" all of keyd's own. Errors:
// those of ReadChunks and ReadOwnLog.
Result<void> ReadLog(Shell& shell, const std::string& path, const TakeChunk& take);

// The public keys that keyd signs its log with, of all versions. Errors: those of DescribeKey.
Result<std::vector<PublicKey>> OwnAuditKeys(Shell& shell);

// Prints records as their lines come in.
class RecordPrinter {
 public:
  using Takes = std::function<bool(const audit::Record&)>;

  // Prints those that `takes` takes.
  RecordPrinter(Shell& shell, Takes takes);
  // It refers to itself.
  RecordPrinter(const RecordPrinter&) = delete;
  RecordPrinter& operator=(const RecordPrinter&) = delete;

  // False once a line was no record.
  bool Push(std::string_view chunk);
  // Errors: kMalformed (a line was no record, or the last one does not end).
  Result<void> Finish();

 private:
  void Print(std::string_view line);

  Shell& shell_;
  const Takes takes_;
  audit::LineSplitter lines_;
  uint64_t number_ = 0;
  std::optional<Error> wrong_;
};

}  // namespace keyward::keyctl
