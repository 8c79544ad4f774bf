#include "keyctl/audit_show.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/timestamp.h"
#include "keyctl/audit_source.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

using audit::Record;

// Columns have the widths of what is usual: a log is too long to be measured first.
constexpr std::string_view kRow = "{:<24}  {:>7}  {:<16}  {:<6}  {:<12}  {:<16}  {}  {}\n";
constexpr size_t kOutcomeWidth = 16;

// "2026-06-15" or "2026-06-15T15:06:40Z", with or without milliseconds.
Result<std::optional<WallTime>> ParseTime(const std::string& text) {
  if (text.empty()) return std::nullopt;
  std::string whole = text;
  if (text.size() == std::string_view("2026-06-15").size()) whole += "T00:00:00.000Z";
  if (text.ends_with('Z') && text.find('.') == std::string::npos) {
    whole.replace(whole.size() - 1, 1, ".000Z");
  }
  const std::optional<WallTime> time = ParseTimestamp(whole);
  if (time) return time;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("'{}' is no time: it is given as 2026-06-15 or 2026-06-15T15:06:40Z",
                          Printable(text)));
}

std::string OutcomeOf(const Record& record) {
  return std::string(record.failed ? Name(*record.failed) : "ok");
}

std::string DetailOf(const Record& record) {
  std::string out;
  for (const Record::Detail& detail : record.detail) {
    if (!out.empty()) out += ' ';
    out += detail.name + '=';
    if (const auto* number = std::get_if<uint64_t>(&detail.value)) {
      out += std::to_string(*number);
    } else {
      out += std::get<std::string>(detail.value);
    }
  }
  if (record.checkpoint) out += fmt::format("through={}", record.checkpoint->through.seq);
  if (record.stepped_back) out += out.empty() ? "(clock stepped back)" : " (clock stepped back)";
  return out;
}

std::string RowOf(const Record& record, bool color) {
  const std::string outcome = fmt::format("{:<{}}", OutcomeOf(record), kOutcomeWidth);
  std::string row = fmt::format(
      kRow, FormatTimestamp(record.time), record.seq, Name(record.event),
      record.caller ? std::to_string(*record.caller) : "keyd",
      record.module.empty() ? "-" : record.module, record.object.empty() ? "-" : record.object,
      Paint(outcome, record.failed ? Tone::kBad : Tone::kGood, color), DetailOf(record));
  const size_t end = row.find_last_not_of(" \n");
  return row.substr(0, end + 1) + "\n";
}

std::string Heading(bool color) {
  const std::string outcome = fmt::format("{:<{}}", "OUTCOME", kOutcomeWidth);
  return Paint(
      fmt::format(kRow, "TIME", "SEQ", "EVENT", "CALLER", "MODULE", "OBJECT", outcome, "DETAIL"),
      Tone::kFaint, color);
}

Error NoRecord(uint64_t line, const Error& why) {
  return {ErrorCode::kMalformed,
          fmt::format("line {} is no record of an audit log: {}", line, why.message())};
}

}  // namespace

Result<AuditFilter> AuditFilter::Parse(const Words& words) {
  AuditFilter filter;
  for (const std::string& name : words.events) {
    const std::optional<audit::EventKind> event = audit::EventKindFromName(name);
    if (!event) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("'{}' is no event; docs/AUDIT_FORMAT.md lists them", name));
    }
    filter.events_.push_back(*event);
  }
  if (!words.outcome.empty() && words.outcome != "ok" && !ErrorCodeFromName(words.outcome)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is neither ok nor the name of an error", words.outcome));
  }
  filter.outcome_ = words.outcome;
  filter.module_ = audit::SafeText(words.module).text();
  filter.object_ = audit::SafeText(words.object).text();
  KEYWARD_ASSIGN(filter.since_, ParseTime(words.since));
  KEYWARD_ASSIGN(filter.until_, ParseTime(words.until));
  return filter;
}

bool AuditFilter::Takes(const Record& record) const {
  if (!events_.empty() && std::ranges::find(events_, record.event) == events_.end()) return false;
  if (!module_.empty() && record.module != module_) return false;
  if (!object_.empty() && record.object != object_) return false;
  if (!outcome_.empty() && OutcomeOf(record) != outcome_) return false;
  if (since_ && record.time < *since_) return false;
  return !until_ || record.time < *until_;
}

RecordPrinter::RecordPrinter(Shell& shell, Takes takes)
    : shell_(shell), takes_(std::move(takes)), lines_([this](std::string_view line) {
        if (!wrong_) Print(line);
      }) {
  if (!shell.json()) shell.out() << Heading(shell.color());
}

void RecordPrinter::Print(std::string_view line) {
  ++number_;
  const Result<Record> record = audit::ParseLine(line);
  if (!record) {
    wrong_ = NoRecord(number_, record.error());
  } else if (takes_(*record)) {
    shell_.out() << (shell_.json() ? std::string(line) + "\n" : RowOf(*record, shell_.color()));
  }
}

bool RecordPrinter::Push(std::string_view chunk) {
  lines_.Push(chunk);
  return !wrong_;
}

Result<void> RecordPrinter::Finish() {
  if (wrong_) return Fail(*wrong_);
  if (lines_.unfinished() > 0) return Fail(ErrorCode::kMalformed, "the last line does not end");
  return {};
}

Result<ExitCode> ShowRecords(Shell& shell, const std::string& path, const AuditFilter& filter) {
  RecordPrinter printer(shell, [&filter](const Record& record) { return filter.Takes(record); });
  KEYWARD_TRY(
      ReadLog(shell, path, [&printer](std::string_view chunk) { return printer.Push(chunk); }));
  KEYWARD_TRY(printer.Finish());
  return ExitCode::kOk;
}

}  // namespace keyward::keyctl
