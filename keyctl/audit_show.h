// Records of an audit log, chosen and shown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/record.h"
#include "keyctl/shell.h"

namespace keyward::keyctl {

class AuditFilter {
 public:
  // As on the command line; what is empty lets everything through.
  struct Words {
    std::vector<std::string> events;
    std::string module;
    std::string object;
    std::string since;
    std::string until;
    std::string outcome;
  };

  // Errors: kInvalidArgument (no event, outcome or time).
  static Result<AuditFilter> Parse(const Words& words);
  bool Takes(const audit::Record& record) const;

 private:
  std::vector<audit::EventKind> events_;
  std::string module_;  // as records write it
  std::string object_;
  std::optional<WallTime> since_;
  std::optional<WallTime> until_;
  std::string outcome_;
};

// Prints the records of the log at `path` (see ReadLog) that `filter` takes, one at a time. Errors:
// those of ReadLog, and kMalformed (a line that is no record; what comes before it
// is printed).
Result<ExitCode> ShowRecords(Shell& shell, const std::string& path, const AuditFilter& filter);

}  // namespace keyward::keyctl
