// The verifier takes any bytes, in chunks of any size, and a line that parses has one spelling. The
// input is a log.
#include <algorithm>
#include <string_view>

#include "audit/verify.h"
#include "tests/fuzz/require.h"

using keyward::audit::Report;
using keyward::audit::Verifier;
using keyward::fuzz::Require;

namespace {

Report Verified(std::string_view log, size_t chunk) {
  Verifier verifier({.keys = {}, .head = {}});
  for (size_t at = 0; at < log.size(); at += chunk) verifier.Push(log.substr(at, chunk));
  return verifier.Finish();
}

bool Same(const Report& one, const Report& other) {
  if (one.fault.has_value() != other.fault.has_value()) return false;
  if (one.fault && (one.fault->kind != other.fault->kind || one.fault->line != other.fault->line ||
                    one.fault->seq != other.fault->seq || one.fault->what != other.fault->what)) {
    return false;
  }
  return one.records == other.records && one.last == other.last;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view log(reinterpret_cast<const char*>(data), size);
  const Report report = Verified(log, std::max<size_t>(size, 1));
  Require(Same(report, Verified(log, 7)));
  Require(report.fault || (report.records > 0 && log.ends_with('\n')));
  // What was found valid has a head, and is valid against it.
  if (!report.fault) {
    Verifier again({.keys = {}, .head = report.last});
    again.Push(log);
    Require(!again.Finish().fault);
  }
  const std::string_view line = log.substr(0, log.find('\n'));
  const auto record = keyward::audit::ParseLine(line);
  Require(!record || keyward::audit::ComposeLine(*record) == line);
  return 0;
}
